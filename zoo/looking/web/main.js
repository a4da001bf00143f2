// Puts the answer and what the record holds on the page.

const HELP = {
  words: "Point at a word, or go to it with Tab and the arrows: the other side shows how much of it lies where. A click or Enter keeps it, Escape lets go.",
  steps: "Play shows the steps one after the other; the slider moves with the arrows.",
};

function answerView(record) {
  const place = document.getElementById("answer");
  place.append(make("h1", {dir: "auto"}, record.title || "Where the model looked"));
  if (record.name) place.append(make("p", {className: "name"}, record.name));
  record.facts.forEach(([name, text]) => place.append(make("p", {className: "told", dir: "auto"}, `${name}: ${text}`)));
  if (record.bars.length < 2) return;
  const bars = record.bars.map(([name, share]) => {
    const bar = make("span", {className: "bar"});
    bar.style.width = `${100 * share}%`;
    return make("li", {}, make("span", {dir: "auto"}, name), bar, make("span", {}, `${(100 * share).toFixed(1)} %`));
  });
  place.append(make("ul", {className: "bars", "aria-label": "probabilities"}, ...bars));
}

async function sampleView(place, sample) {
  const [image, views] = await Promise.all([readImage(sample.image), readImage(sample.views)]);
  if (sample.places) mapView(place, sample);
  if (sample.weights && sample.grid && image) heatView(place, sample, image);
  else if (sample.weights) wordView(place, sample);
  if (sample.lattices && image) latticeView(place, sample, image);
  else if (sample.boxes && image) pathView(place, sample, image, views);
}

async function recordView(record) {
  const place = document.getElementById("looks"), {samples} = record;
  if (samples.every((sample) => sample.frames)) {
    filmView(place, samples, await Promise.all(samples.map(async (sample) => ({frames: await readImage(sample.frames)}))));
    return;
  }
  const inner = make("div", {});
  if (samples.length > 1) {
    const chosen = make("select", {}, ...samples.map((_, index) => make("option", {value: index}, `sample ${index + 1}`)));
    chosen.setAttribute("aria-label", "sample");
    chosen.addEventListener("change", async () => { inner.replaceChildren(); await sampleView(inner, samples[chosen.value]); });
    place.append(chosen);
  }
  place.append(inner);
  await sampleView(inner, samples[0]);
}

function keepButton(source) {
  const button = document.getElementById("keep");
  button.hidden = false;
  button.addEventListener("click", () => {
    const link = make("a", {href: URL.createObjectURL(new Blob([source], {type: "text/html"})), download: "look.html"});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

const source = `<!doctype html>\n${document.documentElement.outerHTML}`;  // before anything is added
const record = JSON.parse(document.getElementById("record").textContent);
answerView(record);
recordView(record).then(() => {
  const first = record.samples[0];
  document.getElementById("help").textContent = first.weights && !first.grid ? HELP.words : HELP.steps;
  keepButton(source);
  document.body.dataset.ready = "yes";
  if (parent === window) return;  // what holds the frame of this page may make it as high as the page
  const tell = () => parent.postMessage({height: Math.ceil(document.body.getBoundingClientRect().height) + 8}, "*");
  new ResizeObserver(tell).observe(document.body);
});
