// Windows on a picture, step by step: a glimpse path with what was seen, or a film of what was painted.

// What of the plane is in view: the picture and all finest windows.
function framed(width, height, boxes) {
  const finest = boxes.map((step) => step[0]);
  const low = [0, 1].map((axis) => Math.min(0, ...finest.map((box) => box[axis])) - 0.5);
  const high = [0, 1].map((axis) => Math.max([width, height][axis], ...finest.map((box) => box[axis + 2])) + 0.5);
  const scale = SIDE / Math.max(high[0] - low[0], high[1] - low[1]);
  return {low, scale, size: [0, 1].map((axis) => Math.round((high[axis] - low[axis]) * scale))};
}

function drawWindows(context, view, windows, colour, strong) {
  windows.forEach(([left, top, right, bottom], index) => {
    context.strokeStyle = colour;
    context.lineWidth = strong && index === 0 ? 3 : 1.2;
    context.strokeRect((left - view.low[0]) * view.scale, (top - view.low[1]) * view.scale, (right - left) * view.scale, (bottom - top) * view.scale);
  });
}

const boxRows = (boxes, names) => boxes.map((step, index) => [names[index], ...step[0].map((value) => value.toFixed(1))]);
const boxTable = (boxes, names) => table("The finest window of each step, in pixels", ["step", "left", "top", "right", "bottom"], boxRows(boxes, names));

// Windows on a picture, step by step, and what was seen through them.
function pathView(place, sample, image, views) {
  const {boxes, outputs} = sample, view = framed(image.width, image.height, boxes), windows = boxes[0].length;
  const canvas = canvasOf(...view.size, "the picture, with the windows that were looked through");
  const seen = views ? boxes[0].map(() => canvasOf(1, 1, "what was seen through the window")) : [];
  const captions = seen.map(() => make("figcaption", {}));
  const centre = (step) => [0, 1].map((axis) => ((boxes[step][0][axis] + boxes[step][0][axis + 2]) / 2 - view.low[axis]) * view.scale);
  const strip = make("div", {className: "strip", role: "group", "aria-label": "steps"});
  const draw = (step) => {
    const context = canvas.getContext("2d");
    context.fillStyle = "#404040";
    context.fillRect(0, 0, ...view.size);
    context.imageSmoothingEnabled = false;
    context.drawImage(image.image, -view.low[0] * view.scale, -view.low[1] * view.scale, image.width * view.scale, image.height * view.scale);
    for (let before = 0; before < step; before++) drawWindows(context, view, boxes[before].slice(0, 1), "rgba(86, 180, 233, .55)", false);
    context.beginPath();
    for (let at = 0; at <= step; at++) context.lineTo(...centre(at));
    for (const [colour, width] of [["rgba(0, 0, 0, .7)", 5], [PATH, 2.5]]) Object.assign(context, {strokeStyle: colour, lineWidth: width}), context.stroke();
    context.beginPath();
    context.arc(...centre(0), 5, 0, 7);
    context.fillStyle = PATH;
    context.fill();
    drawWindows(context, view, boxes[step], WINDOW, true);
    seen.forEach((small, window) => {
      drawTile(small, views, step * windows + window);
      small.style.width = small.style.height = `${Math.min(180, SIDE / windows)}px`;
      captions[window].textContent = `${(boxes[step][window][2] - boxes[step][window][0]).toFixed(0)} pixels wide`;
    });
    [...strip.children].forEach((button, index) => index === step ? button.setAttribute("aria-current", "step") : button.removeAttribute("aria-current"));
  };
  const name = (step) => `step ${outputs.names[step]} of ${boxes.length}`;
  const play = player(boxes.length, name, draw, 700, boxes.length - 1);
  boxes.forEach((_, step) => {
    const small = make("canvas", {});
    small.setAttribute("aria-hidden", "true");
    if (views) drawTile(small, views, step * windows);
    const button = make("button", {type: "button"}, ...(views ? [small] : []), outputs.names[step]);
    button.addEventListener("click", () => play.go(step));
    strip.append(button);
  });
  const beside = seen.map((small, window) => make("figure", {}, small, captions[window]));
  place.append(play.box, make("div", {className: "stage"}, canvas, ...beside), strip, folded("Table of the windows", () => boxTable(boxes, outputs.names)).details);
  play.start();
}

// What several samples had painted after each step, all at once.
function filmView(place, samples, pictures) {
  const steps = samples[0].boxes.length, side = samples.length > 1 ? Math.max(96, Math.min(160, 640 / Math.sqrt(samples.length))) : SIDE;
  const canvases = pictures.map(({frames}, index) => canvasOf(Math.round(side), Math.round(side * frames.height / frames.width), `painting ${index + 1}`));
  const small = make("canvas", {});
  const draw = (step) => canvases.forEach((canvas, index) => {
    const {frames} = pictures[index], context = canvas.getContext("2d");
    drawTile(small, frames, step);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    drawWindows(context, {low: [0, 0], scale: canvas.width / frames.width}, samples[index].boxes[step].slice(0, 1), WINDOW, true);
  });
  const play = player(steps, (step) => `step ${step + 1} of ${steps}`, draw, 90, steps - 1);
  place.append(play.box, make("div", {className: samples.length > 1 ? "stage film" : "stage"}, ...canvases));
  const rows = () => samples.flatMap(({boxes, outputs}, index) =>
    boxRows(boxes, outputs.names.map((name) => (samples.length > 1 ? `painting ${index + 1}, ` : "") + `step ${name}`)));
  const columns = ["", "left", "top", "right", "bottom"];
  place.append(folded("Table of the windows", () => table("The window of each step, in pixels", columns, rows())).details);
  play.start();
}
