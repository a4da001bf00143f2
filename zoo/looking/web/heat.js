// A picture with the heat map of each word, and words by how much they looked at a place of the picture.

const SIDE = 380;  // pixels of a picture that is looked at
const PATH = "#56B4E9", WINDOW = "#FF6A3D";

function canvasOf(width, height, label) {
  const canvas = make("canvas", {width, height, role: "img"});
  canvas.setAttribute("aria-label", label);
  return canvas;
}

// A canvas's context after something is drawn all over it, enlarged without blur.
function cover(canvas, source) {
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context;
}

function heatView(place, sample, image) {
  const weights = readWeights(sample.weights), {names} = sample.outputs, [rows, columns] = sample.grid;
  const scale = SIDE / Math.max(image.width, image.height);
  const size = [Math.round(image.width * scale), Math.round(image.height * scale)];
  const canvas = canvasOf(...size, "the picture, lit where the word looked"), heat = make("canvas", {});
  const plain = canvasOf(...size, "the picture as it is");
  const said = make("p", {className: "said", role: "status"});
  const words = wordRow(sample.axes[1], sample.outputs, (index) => play.go(index));
  let head = weights.heads > 1 && !sample.heads ? counted(weights.heads) : 0, chosen = 0;

  const best = (output) => heaviest(weights, head, output, 1)[0];
  const where = (cell) => [Math.floor(cell / columns) + 1, cell % columns + 1];

  function draw(output) {
    chosen = output;
    const [value, cell] = best(output), most = Math.max(value, 1e-9), [row, column] = where(cell);
    drawShares(heat, rows, columns, (y, x) => weights.value(head, output, y * columns + x) / most);
    const context = canvas.getContext("2d");
    context.filter = "grayscale(1) brightness(.75)";
    cover(canvas, image.image);
    context.filter = "none";
    context.imageSmoothingEnabled = true;
    context.globalAlpha = 0.75;
    context.drawImage(heat, 0, 0, ...size);
    context.globalAlpha = 1;
    words.light(null, 1, output, false);
    const told = `row ${row} of ${rows}, column ${column} of ${columns}: ${shown(value, most)}`;
    said.textContent = `${names[output]} looks most at ${told}`;
  }

  // The words by their weights at the place under the pointer.
  function point(event) {
    const box = canvas.getBoundingClientRect();
    const within = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    const row = within((event.clientY - box.top) / box.height, rows);
    const column = within((event.clientX - box.left) / box.width, columns);
    const values = names.map((_, output) => weights.value(head, output, row * columns + column));
    words.light(values, Math.max(...values, 1e-9), chosen, false);
    said.textContent = `row ${row + 1}, column ${column + 1}: below the words are their weights here`;
  }

  const play = player(weights.outputs, (step) => `${step + 1} of ${weights.outputs}: ${names[step]}`, draw, 900);
  const numbers = folded("Table of the places", () => {
    const told = names.map((name, output) => {
      const [value, cell] = best(output);
      return [name, ...where(cell).map(String), shown(value, value || 1)];
    });
    return table("Where each word looked most", ["", "row", "column", "weight"], told);
  });
  const choose = (one) => {
    head = one;
    draw(chosen);
    numbers.fill();
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerleave", () => draw(chosen));
  cover(plain, image.image);
  if (weights.heads > 1) place.append(make("h2", {}, "Heads"), headButtons(weights, sample.heads, choose));
  place.append(make("h2", {}, sample.axes[1]), words.group, play.box);
  place.append(make("div", {className: "stage"}, canvas, plain), said, numbers.details);
  repainted.push(() => draw(chosen));
  play.start();
}
