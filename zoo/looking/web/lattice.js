// A bent lattice as a film.

// A picture that is read along a lattice: the lattice bends from straight to what the network chose, and what is read with it.
function latticeView(place, sample, image) {
  const {shape: [steps, rows, columns], data} = sample.lattices, points = floats(data), FILM = 24;
  const source = make("canvas", {width: image.width, height: image.height}), paint = source.getContext("2d", {willReadFrequently: true});
  paint.drawImage(image.image, 0, 0);
  const pixels = paint.getImageData(0, 0, image.width, image.height).data;
  const straight = (row, column) => [(column / Math.max(1, columns - 1)) * (image.width - 1) + 0.5, (row / Math.max(1, rows - 1)) * (image.height - 1) + 0.5];
  const bent = (step, row, column, share) => {
    const at = 2 * ((step * rows + row) * columns + column);
    return straight(row, column).map((value, axis) => value + (points[at + axis] - value) * share);
  };
  const pixel = (x, y, channel) => x < 0 || y < 0 || x >= image.width || y >= image.height ? 0 : pixels[4 * (y * image.width + x) + channel];
  const read = ([x, y], channel) => {
    const [left, top] = [Math.floor(x - 0.5), Math.floor(y - 0.5)], [right, down] = [x - 0.5 - left, y - 0.5 - top];
    const across = (row) => pixel(left, row, channel) * (1 - right) + pixel(left + 1, row, channel) * right;
    return across(top) * (1 - down) + across(top + 1) * down;
  };
  const all = [...Array(steps).keys()].flatMap((step) => [...Array(rows).keys()].flatMap((row) => [...Array(columns).keys()].map((column) => bent(step, row, column, 1))));
  const clip = (value, size) => Math.max(-size / 2, Math.min(1.5 * size, value));
  const reach = [0, 1].map((axis) => all.map((point) => clip(point[axis], [image.width, image.height][axis])));
  const extreme = (which) => reach.map((values) => values.reduce((a, b) => which(a, b)));
  const view = framed(image.width, image.height, [[[...extreme(Math.min), ...extreme(Math.max)]]]);
  const canvas = canvasOf(...view.size, "the picture, and the lattice along which it is read");
  const made = canvasOf(columns, rows, "what is read along the lattice");
  made.style.width = `${SIDE * 0.7}px`;
  const lines = (size) => [...new Set([...Array(9).keys()].map((line) => Math.round(line * (size - 1) / 8)))];
  const place2 = ([x, y]) => [(x - view.low[0]) * view.scale, (y - view.low[1]) * view.scale];
  const draw = (frame) => {
    const step = Math.floor(frame / (FILM + 1)), share = frame % (FILM + 1) / FILM, context = canvas.getContext("2d");
    context.fillStyle = "#404040";
    context.fillRect(0, 0, ...view.size);
    context.imageSmoothingEnabled = false;
    context.drawImage(image.image, ...place2([0, 0]), image.width * view.scale, image.height * view.scale);
    const line = (edge, count, point) => {
      context.beginPath();
      for (let at = 0; at < count; at++) context.lineTo(...place2(point(at)));
      Object.assign(context, {strokeStyle: edge ? WINDOW : PATH, lineWidth: edge ? 2.5 : 1});
      context.stroke();
    };
    lines(rows).forEach((row) => line(row % (rows - 1) === 0, columns, (column) => bent(step, row, column, share)));
    lines(columns).forEach((column) => line(column % (columns - 1) === 0, rows, (row) => bent(step, row, column, share)));
    const picture = made.getContext("2d").createImageData(columns, rows);
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      const at = bent(step, row, column, share);
      picture.data.set([read(at, 0), read(at, 1), read(at, 2), 255], 4 * (row * columns + column));
    }
    made.getContext("2d").putImageData(picture, 0, 0);
  };
  const name = (frame) => (steps > 1 ? `transformer ${Math.floor(frame / (FILM + 1)) + 1}, ` : "") + `bent by ${Math.round(frame % (FILM + 1) / FILM * 100)} %`;
  const play = player(steps * (FILM + 1), name, draw, 60, FILM);
  const figures = [make("figure", {}, canvas, make("figcaption", {}, "the picture as it is given")), make("figure", {}, made, make("figcaption", {}, "as it is read"))];
  const corners = () => table("The corners of the lattice, in pixels", ["step", "top left", "top right", "bottom left", "bottom right"],
    [...Array(steps).keys()].map((step) => [sample.outputs.names[step], ...[[0, 0], [0, columns - 1], [rows - 1, 0], [rows - 1, columns - 1]].map(([row, column]) =>
      bent(step, row, column, 1).map((value) => value.toFixed(1)).join(", "))]));
  place.append(play.box, make("div", {className: "stage"}, ...figures), folded("Table of the corners", corners).details);
  play.start();
}
