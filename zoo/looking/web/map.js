// Places in a plane: north up and east to the right, as large as their weight; the one that was answered has a ring.

function mapView(place, sample) {
  const weights = readWeights(sample.weights), points = sample.places, answer = points[points.length - 1];
  const across = points.map((point) => point[1]), up = points.map((point) => point[0]);
  const wide = Math.max(...across) - Math.min(...across), high = Math.max(...up) - Math.min(...up), span = Math.max(wide, high, 1e-3) * 1.25;
  const middle = [(Math.max(...across) + Math.min(...across)) / 2, (Math.max(...up) + Math.min(...up)) / 2], side = 420;
  const at = ([north, east]) => [(east - middle[0]) / span * side + side / 2, (middle[1] - north) / span * side + side / 2];
  const draw = (tag, properties, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  };
  const map = draw("svg", {viewBox: `0 0 ${side} ${side}`, width: side, height: side, role: "img", "aria-label": "a map of the visits; the table has their weights"});
  map.append(draw("polyline", {points: points.map((point) => at(point).join(",")).join(" "), fill: "none", stroke: PATH, "stroke-dasharray": "4 4"}));
  const most = weights.largest(0), named = new Map();
  sample.inputs.names.forEach((name, input) => {
    const [x, y] = at(points[input]), value = weights.value(0, 0, input);
    const dot = draw("circle", {cx: x, cy: y, r: 4 + 14 * Math.sqrt(value / most), fill: `rgba(${lit()}, .75)`, stroke: "currentColor"});
    dot.append(draw("title", {}, `${name}: ${shown(value, most)}`));
    map.append(dot);
    named.set(`${x},${y}`, [x, y, name.split(",")[0]]);
  });
  const [x, y] = at(answer);
  map.append(draw("circle", {cx: x, cy: y, r: 12, fill: "none", stroke: WINDOW, "stroke-width": 3}));
  named.set(`${x},${y}`, [x, y, sample.outputs.names[0]]);
  named.forEach(([left, top, name]) => map.append(draw("text", {x: left + 10, y: top - 10}, name)));
  const caption = "North is up; the size of a visit is its weight, and the ring is the answer.";
  place.append(make("h2", {}, "Map"), make("figure", {}, make("div", {className: "stage"}, map), make("figcaption", {}, caption)));
}
