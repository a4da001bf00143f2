// What the page holds, decoded: weights of heads x outputs x inputs, pictures on sheets, and numbers as they are shown.

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);

// A share of a row's largest weight is one byte, so a weight is known to 1/510 of that.
function readWeights(packed) {
  const [heads, outputs, inputs] = packed.shape;
  const data = bytes(packed.data), scales = floats(packed.scales);
  const value = (head, output, input) => {
    if (Array.isArray(head)) return head.reduce((sum, one) => sum + value(one, output, input), 0) / head.length;
    const row = head * outputs + output;
    return data[row * inputs + input] / 255 * scales[row];
  };
  const largest = (head) => {
    let most = 0;
    for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) most = Math.max(most, value(head, o, i));
    return most || 1;
  };
  return {heads, outputs, inputs, layers: packed.layers, value, largest};
}

// As many decimals as one byte can tell of a weight, where the largest is `most`.
const shown = (value, most) => value.toFixed(Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(most)))));

async function readImage(packed) {
  if (!packed) return null;
  const image = new Image();
  image.src = packed.src;
  await image.decode();
  return {...packed, image};
}

// Draws one picture of a sheet into a canvas of the picture's own size.
function drawTile(canvas, sheet, index) {
  canvas.width = sheet.width;
  canvas.height = sheet.height;
  const x = index % sheet.columns * sheet.width, y = Math.floor(index / sheet.columns) * sheet.height;
  canvas.getContext("2d").drawImage(sheet.image, x, y, sheet.width, sheet.height, 0, 0, sheet.width, sheet.height);
}

const lit = () => getComputedStyle(document.documentElement).getPropertyValue("--lit").split(",").map(Number);

// A matrix of shares in 0..1 as a picture of one pixel a cell, in the colour of lit words.
function drawShares(canvas, rows, columns, share) {
  canvas.width = Math.max(1, columns);
  canvas.height = Math.max(1, rows);
  const context = canvas.getContext("2d"), picture = context.createImageData(canvas.width, canvas.height), colour = lit();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      picture.data.set([...colour, Math.round(255 * share(row, column))], 4 * (row * columns + column));
    }
  }
  context.putImageData(picture, 0, 0);
}

// An element with properties and children; texts become text, never markup.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "style") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const repainted = [];  // what draws again where light becomes dark
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => repainted.forEach((draw) => draw()));
