// A picture with the heat map of each word, and words by how much they looked at a place of the picture.

const SIDE = 380;  // pixels of a picture that is looked at
const PATH = "#56B4E9", WINDOW = "#FF6A3D";

function canvasOf(width, height, label) {
  const canvas = make("canvas", {width, height, role: "img"});
  canvas.setAttribute("aria-label", label);
  return canvas;
}

// Weights over the cells of a picture: a word shows where it looked, a place in the picture the words that looked there.
function heatView(place, sample, image) {
  const weights = readWeights(sample.weights), [rows, columns] = sample.grid;
  const scale = SIDE / Math.max(image.width, image.height), wide = Math.round(image.width * scale), high = Math.round(image.height * scale);
  const canvas = canvasOf(wide, high, "the picture, lit where the word looked"), heat = make("canvas", {});
  const said = make("p", {className: "said", role: "status"});
  let head = weights.heads > 1 ? [...Array(weights.heads).keys()] : 0, chosen = 0;
  const words = wordRow(sample.axes[1], sample.outputs, (index) => play.go(index));
  const best = (output) => heaviest(weights, head, output, 1)[0];
  const draw = (output) => {
    chosen = output;
    const most = Math.max(best(output)[0], 1e-9), context = canvas.getContext("2d");
    drawShares(heat, rows, columns, (row, column) => weights.value(head, output, row * columns + column) / most);
    context.clearRect(0, 0, wide, high);
    context.imageSmoothingEnabled = false;
    context.filter = "grayscale(1) brightness(.75)";
    context.drawImage(image.image, 0, 0, wide, high);
    context.filter = "none";
    context.imageSmoothingEnabled = true;
    context.globalAlpha = 0.75;
    context.drawImage(heat, 0, 0, wide, high);
    context.globalAlpha = 1;
    words.light(null, 1, output, false);
    const [value, cell] = best(output);
    said.textContent = `${sample.outputs.names[output]} looks most at row ${Math.floor(cell / columns) + 1} of ${rows}, ` +
      `column ${cell % columns + 1} of ${columns}: ${shown(value, most)}`;
  };
  const play = player(weights.outputs, (step) => `${step + 1} of ${weights.outputs}: ${sample.outputs.names[step]}`, draw, 900);
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const row = Math.min(rows - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * rows)));
    const column = Math.min(columns - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * columns)));
    const values = sample.outputs.names.map((_, output) => weights.value(head, output, row * columns + column));
    words.light(values, Math.max(...values, 1e-9), chosen, false);
    said.textContent = `row ${row + 1}, column ${column + 1}: the numbers below the words are their weights here`;
  });
  canvas.addEventListener("pointerleave", () => draw(chosen));
  const numbers = folded("Table of the places", () => {
    const told = sample.outputs.names.map((name, output) => {
      const [value, cell] = best(output);
      return [name, String(Math.floor(cell / columns) + 1), String(cell % columns + 1), shown(value, value || 1)];
    });
    return table("Where each word looked most", ["", "row", "column", "weight"], told);
  });
  if (weights.heads > 1) place.append(make("h2", {}, "Heads"), headButtons(weights, (one) => { head = one; draw(chosen); numbers.fill(); }));
  const plain = canvasOf(wide, high, "the picture as it is");
  plain.getContext("2d").imageSmoothingEnabled = false;
  plain.getContext("2d").drawImage(image.image, 0, 0, wide, high);
  place.append(make("h2", {}, sample.axes[1]), words.group, play.box, make("div", {className: "stage"}, canvas, plain), said, numbers.details);
  repainted.push(() => draw(chosen));
  play.start();
}
