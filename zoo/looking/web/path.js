// Windows on a picture, step by step: a glimpse path with what was seen, or a film of what was painted.

const AXES = [0, 1];

// What of the plane is in view: the picture and all finest windows.
function framed(width, height, boxes) {
  const finest = boxes.map((step) => step[0]);
  const low = AXES.map((axis) => Math.min(0, ...finest.map((box) => box[axis])) - 0.5);
  const high = AXES.map((axis) => Math.max([width, height][axis], ...finest.map((box) => box[axis + 2])) + 0.5);
  const scale = SIDE / Math.max(high[0] - low[0], high[1] - low[1]);
  const at = ([x, y]) => [(x - low[0]) * scale, (y - low[1]) * scale];
  return {at, scale, size: AXES.map((axis) => Math.round((high[axis] - low[axis]) * scale))};
}

// The picture in its place, on a ground that says what is outside.
function drawScene(canvas, view, image) {
  const context = canvas.getContext("2d");
  context.fillStyle = "#404040";
  context.fillRect(0, 0, ...view.size);
  context.imageSmoothingEnabled = false;
  context.drawImage(image.image, ...view.at([0, 0]), image.width * view.scale, image.height * view.scale);
  return context;
}

function drawWindows(context, view, windows, colour, strong) {
  windows.forEach(([left, top, right, bottom], index) => {
    context.strokeStyle = colour;
    context.lineWidth = strong && index === 0 ? 3 : 1.2;
    context.strokeRect(...view.at([left, top]), (right - left) * view.scale, (bottom - top) * view.scale);
  });
}

const BOX = ["left", "top", "right", "bottom"];
const boxRows = (boxes, names) => boxes.map((step, index) => [names[index], ...step[0].map((at) => at.toFixed(1))]);

function boxTable(rows) {
  const build = () => table("The finest window of each step, in pixels", ["", ...BOX], rows());
  return folded("Table of the windows", build).details;
}

function pathView(place, sample, image, views) {
  const {boxes, outputs: {names}} = sample, view = framed(image.width, image.height, boxes), windows = boxes[0].length;
  const canvas = canvasOf(...view.size, "the picture, with the windows that were looked through");
  const seen = views ? boxes[0].map(() => canvasOf(1, 1, "what was seen through the window")) : [];
  const captions = seen.map(() => make("figcaption", {}));
  const strip = make("div", {className: "strip", role: "group", "aria-label": "steps"});
  const centre = ([[left, top, right, bottom]]) => view.at([(left + right) / 2, (top + bottom) / 2]);

  function drawPath(context, steps) {
    context.beginPath();
    steps.forEach((step) => context.lineTo(...centre(step)));
    for (const [strokeStyle, lineWidth] of [["rgba(0, 0, 0, .7)", 5], [PATH, 2.5]]) {
      Object.assign(context, {strokeStyle, lineWidth});
      context.stroke();
    }
    context.beginPath();
    context.arc(...centre(steps[0]), 5, 0, 7);
    context.fillStyle = PATH;
    context.fill();
  }

  function draw(step) {
    const context = drawScene(canvas, view, image);
    const before = boxes.slice(0, step);
    before.forEach((windows) => drawWindows(context, view, windows.slice(0, 1), "rgba(86, 180, 233, .55)", false));
    drawPath(context, boxes.slice(0, step + 1));
    drawWindows(context, view, boxes[step], WINDOW, true);
    seen.forEach((small, window) => {
      const [left, , right] = boxes[step][window];
      drawTile(small, views, step * windows + window);
      small.style.width = small.style.height = `${Math.min(180, SIDE / windows)}px`;
      captions[window].textContent = `${(right - left).toFixed(0)} pixels wide`;
    });
    [...strip.children].forEach((button, index) => {
      if (index === step) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
  }

  const name = (step) => `step ${names[step]} of ${boxes.length}`;
  const play = player(boxes.length, name, draw, 700, boxes.length - 1);
  boxes.forEach((_, step) => {
    const small = make("canvas", {ariaHidden: "true"});
    if (views) drawTile(small, views, step * windows);
    const button = make("button", {type: "button"}, ...(views ? [small] : []), names[step]);
    button.addEventListener("click", () => play.go(step));
    strip.append(button);
  });
  const beside = seen.map((small, window) => make("figure", {}, small, captions[window]));
  place.append(play.box, make("div", {className: "stage"}, canvas, ...beside), strip);
  place.append(boxTable(() => boxRows(boxes, names.map((each) => `step ${each}`))));
  play.start();
}

// What several samples had painted after each step, all at once; before a painting what it was made after, if anything.
function filmView(place, samples, pictures) {
  const steps = samples[0].boxes.length, alone = samples.length === 1, side = alone ? SIDE : 160;
  const sized = ({width, height}, label) => canvasOf(side, Math.round(side * height / width), label);
  const paintings = pictures.map(({frames}, index) => sized(frames, `painting ${index + 1}`)), small = make("canvas", {});
  const draw = (step) => paintings.forEach((canvas, index) => {
    const {frames} = pictures[index], scale = canvas.width / frames.width;
    drawTile(small, frames, step);
    const view = {at: (point) => point.map((value) => value * scale), scale};
    drawWindows(cover(canvas, small), view, samples[index].boxes[step].slice(0, 1), WINDOW, true);
  });
  const shown = paintings.flatMap((canvas, index) => {
    const {image} = pictures[index];
    if (!image) return [canvas];
    const given = sized(image, `what painting ${index + 1} is made after`);
    cover(given, image.image);
    return [given, canvas];
  });
  const play = player(steps, (step) => `step ${step + 1} of ${steps}`, draw, 90, steps - 1);
  const named = (names, index) => names.map((name) => (alone ? "" : `painting ${index + 1}, `) + `step ${name}`);
  place.append(play.box, make("div", {className: alone ? "stage" : "stage film"}, ...shown));
  place.append(boxTable(() => samples.flatMap(({boxes, outputs}, index) => boxRows(boxes, named(outputs.names, index)))));
  play.start();
}
