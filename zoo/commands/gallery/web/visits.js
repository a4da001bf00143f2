// Visits as lines of a time and a place; a map on which a click adds one. Its value is the text.
const text = element.querySelector("textarea"), map = element.querySelector("svg"), note = element.querySelector(".note");
const WIDE = 560, HIGH = 340, HALF_A_DAY = 12 * 3600 * 1000;
const give = () => { props.value = text.value; trigger("input"); mark(); };
const lines = () => text.value.split("\n").map((line) => line.trim().split(/\s+/)).filter((parts) => parts.length > 1);
const draw = (tag, properties) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(properties).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
};
let dots = new Map();
const mark = () => {
  const visited = new Set(lines().map(([, place]) => place));
  dots.forEach((dot, name) => dot.classList.toggle("visited", visited.has(name)));
};
const add = (name) => {
  const last = lines().pop(), before = last ? Date.parse(`${last[0]}Z`) : NaN;
  const time = new Date((Number.isNaN(before) ? Date.parse("2013-05-01T08:00Z") : before) + HALF_A_DAY);
  text.value = [...(text.value.trim() ? [text.value.trim()] : []), `${time.toISOString().slice(0, 16)} ${name}`].join("\n");
  note.textContent = `Added ${name}.`;
  give();
};
const paint = () => {
  const places = props.places || [], ends = (axis) => [Math.min(...places.map((place) => place[axis])), Math.max(...places.map((place) => place[axis]))];
  map.replaceChildren();
  dots = new Map();
  if (!places.length) return;
  const [south, north] = ends(1), [west, east] = ends(2), scale = Math.min((WIDE - 40) / (east - west || 1), (HIGH - 40) / (north - south || 1));
  map.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  for (const [name, up, across] of places) {
    const dot = draw("circle", {cx: 20 + (across - west) * scale, cy: 20 + (north - up) * scale, r: 6}), title = draw("title", {});
    title.textContent = name;
    dot.append(title);
    dot.addEventListener("click", () => add(name));
    dot.addEventListener("pointerenter", () => { note.textContent = `${name}: a click adds a visit.`; });
    dots.set(name, dot);
    map.append(dot);
  }
  mark();
};
text.addEventListener("input", give);
watch("value", () => { if (text.value !== (props.value || "")) { text.value = props.value || ""; mark(); } });
watch("places", paint);
text.value = props.value || "";
paint();
