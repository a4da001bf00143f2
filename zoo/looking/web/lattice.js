// A picture that is read along a lattice, as a film: the lattice bends from straight to what the network chose, and
// what is read along it changes with it.

const FILM = 24;  // pictures of a film, after its first one
const LINES = 9;  // of a lattice each way

// The lattices of a sample: `at(step, row, column, share)` is a point that is bent by a share, as [x, y] in pixels.
function readLattices(packed, width, height) {
  const [steps, rows, columns] = packed.shape, points = floats(packed.data);
  const place = (index, count, size) => index / Math.max(1, count - 1) * (size - 1) + 0.5;
  const at = (step, row, column, share) => {
    const first = 2 * ((step * rows + row) * columns + column);
    const straight = [place(column, columns, width), place(row, rows, height)];
    return straight.map((value, axis) => value + (points[first + axis] - value) * share);
  };
  return {steps, rows, columns, at};
}

// A function from a place to the colour there, between pixels in shares; black outside.
function reader(image) {
  const {width, height} = image, source = make("canvas", {width, height});
  const context = source.getContext("2d", {willReadFrequently: true});
  context.drawImage(image.image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  const pixel = (x, y, channel) =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : pixels[4 * (y * width + x) + channel];
  return ([x, y]) => {
    const left = Math.floor(x - 0.5), top = Math.floor(y - 0.5), right = x - 0.5 - left, down = y - 0.5 - top;
    const across = (row, channel) => pixel(left, row, channel) * (1 - right) + pixel(left + 1, row, channel) * right;
    return [0, 1, 2].map((channel) => across(top, channel) * (1 - down) + across(top + 1, channel) * down);
  };
}

// The box of all bent lattices, as far as half the picture beyond it.
function reach(lattices, size) {
  const low = [...size], high = [0, 0], {steps, rows, columns} = lattices;
  for (const step of counted(steps)) for (const row of counted(rows)) for (const column of counted(columns)) {
    lattices.at(step, row, column, 1).forEach((value, axis) => {
      const kept = Math.max(-size[axis] / 2, Math.min(1.5 * size[axis], value));
      low[axis] = Math.min(low[axis], kept);
      high[axis] = Math.max(high[axis], kept);
    });
  }
  return [...low, ...high];
}

function latticeView(place, sample, image) {
  const lattices = readLattices(sample.lattices, image.width, image.height), {steps, rows, columns, at} = lattices;
  const view = framed(image.width, image.height, [[reach(lattices, [image.width, image.height])]]);
  const canvas = canvasOf(...view.size, "the picture, and the lattice along which it is read"), colour = reader(image);
  const made = canvasOf(columns, rows, "what is read along the lattice");
  made.style.width = `${SIDE * 0.7}px`;

  // About so many of the lines, the outer ones among them; `point(line, index)` is a point of a line.
  function drawLines(context, count, length, point) {
    const lines = new Set(counted(LINES).map((line) => Math.round(line * (count - 1) / (LINES - 1))));
    for (const line of lines) {
      const edge = line === 0 || line === count - 1;
      context.beginPath();
      counted(length).forEach((index) => context.lineTo(...view.at(point(line, index))));
      Object.assign(context, {strokeStyle: edge ? WINDOW : PATH, lineWidth: edge ? 2.5 : 1});
      context.stroke();
    }
  }

  function draw(frame) {
    const step = Math.floor(frame / (FILM + 1)), share = frame % (FILM + 1) / FILM;
    const context = drawScene(canvas, view, image);
    drawLines(context, rows, columns, (row, column) => at(step, row, column, share));
    drawLines(context, columns, rows, (column, row) => at(step, row, column, share));
    const small = made.getContext("2d"), picture = small.createImageData(columns, rows);
    for (const row of counted(rows)) for (const column of counted(columns)) {
      picture.data.set([...colour(at(step, row, column, share)), 255], 4 * (row * columns + column));
    }
    small.putImageData(picture, 0, 0);
  }

  const name = (frame) => (steps > 1 ? `transformer ${Math.floor(frame / (FILM + 1)) + 1}, ` : "")
    + `bent by ${Math.round(frame % (FILM + 1) / FILM * 100)} %`;
  const play = player(steps * (FILM + 1), name, draw, 60, FILM);
  const corners = folded("Table of the corners", () => {
    const ends = [[0, 0], [0, columns - 1], [rows - 1, 0], [rows - 1, columns - 1]];
    const written = (point) => point.map((value) => value.toFixed(1)).join(", ");
    const told = counted(steps).map((step) =>
      [sample.outputs.names[step], ...ends.map(([row, column]) => written(at(step, row, column, 1)))]);
    const head = ["step", "top left", "top right", "bottom left", "bottom right"];
    return table("The corners of the lattice, in pixels", head, told);
  });
  const captioned = (canvas, text) => make("figure", {}, canvas, make("figcaption", {}, text));
  const both = [captioned(canvas, "the picture as it is given"), captioned(made, "as it is read")];
  place.append(play.box, make("div", {className: "stage"}, ...both), corners.details);
  play.start();
}
