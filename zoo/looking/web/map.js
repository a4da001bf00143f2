// Places in a plane: north up and east to the right, as large as their weight; the one that was answered has a ring.

const MAP = 420;  // pixels of its side

function drawn(tag, properties, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

// A function from [north, east] to a place on the map, on which all points are.
function projection(points) {
  const ends = AXES.map((axis) => points.map((point) => point[axis])).map((all) => [Math.min(...all), Math.max(...all)]);
  const span = Math.max(...ends.map(([low, high]) => high - low), 1e-3) * 1.25;
  const [up, across] = ends.map(([low, high]) => (low + high) / 2);
  return ([north, east]) => [(east - across) / span * MAP + MAP / 2, (up - north) / span * MAP + MAP / 2];
}

function mapView(place, sample) {
  const weights = readWeights(sample.weights), points = sample.places, at = projection(points);
  const label = "a map of the visits; the table has their weights";
  const map = drawn("svg", {viewBox: `0 0 ${MAP} ${MAP}`, width: MAP, height: MAP, role: "img", "aria-label": label});
  const line = points.map((point) => at(point).join(",")).join(" ");
  map.append(drawn("polyline", {points: line, fill: "none", stroke: PATH, "stroke-dasharray": "4 4"}));
  const most = weights.largest(0), names = new Map();  // one name for each place, however often it was visited
  const note = ([x, y], name) => names.set(`${x},${y}`, [x, y, name]);
  sample.inputs.names.forEach((name, input) => {
    const [cx, cy] = at(points[input]), value = weights.value(0, 0, input), r = 4 + 14 * Math.sqrt(value / most);
    const dot = drawn("circle", {cx, cy, r, fill: `rgba(${lit()}, .75)`, stroke: "currentColor"});
    dot.append(drawn("title", {}, `${name}: ${shown(value, most)}`));
    map.append(dot);
    note([cx, cy], name.split(",")[0]);
  });
  const [cx, cy] = at(points[points.length - 1]);
  map.append(drawn("circle", {cx, cy, r: 12, fill: "none", stroke: WINDOW, "stroke-width": 3}));
  note([cx, cy], sample.outputs.names[0]);
  names.forEach(([x, y, name]) => map.append(drawn("text", {x: x + 10, y: y - 10}, name)));
  const caption = "North is up; the size of a visit is its weight, and the ring is the answer.";
  const figure = make("figure", {}, make("div", {className: "stage"}, map), make("figcaption", {}, caption));
  place.append(make("h2", {}, "Map"), figure);
}
