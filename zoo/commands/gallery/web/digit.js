// A pad of our own: white strokes on black, a file in their place, or an example. Its value is a data URL.
const canvas = element.querySelector("canvas"), context = canvas.getContext("2d"), note = element.querySelector(".note");
const side = canvas.width, LARGEST = 20 * 2 ** 20;
const SHAPES = {  // strokes of digits in a square of 20
  0: [[[10, 1], [4, 4], [3, 11], [6, 18], [11, 19], [16, 15], [17, 8], [14, 2], [10, 1]]],
  1: [[[7, 4], [11, 1], [10, 19]]],
  2: [[[4, 5], [8, 1], [14, 2], [15, 7], [10, 13], [3, 19], [9, 17], [17, 18]]],
  3: [[[4, 2], [11, 1], [15, 4], [13, 8], [8, 9], [14, 11], [16, 15], [12, 19], [4, 18]]],
  4: [[[7, 1], [4, 10], [15, 10]], [[14, 2], [12, 19]]],
  7: [[[3, 3], [16, 2], [11, 11], [8, 19]]],
  9: [[[15, 5], [10, 1], [5, 5], [7, 9], [13, 8], [15, 4], [14, 12], [11, 19]]],
};
let next = 0, drawing = false;
const share = () => (props.digit || 28) / (props.size || 28);  // of the side that a digit takes
const hint = () => {
  const box = element.querySelector("i"), part = share();
  Object.assign(box.style, {display: part < 0.95 ? "block" : "none", width: `${100 * part}%`, height: `${100 * part}%`});
};
const wipe = () => { context.fillStyle = "#000"; context.fillRect(0, 0, side, side); };
const pen = () => Object.assign(context, {strokeStyle: "#fff", lineWidth: side * share() * 0.08, lineCap: "round", lineJoin: "round"});
const give = (value, text) => { note.textContent = text; props.value = value; trigger("input"); };
const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * side, (event.clientY - box.top) / box.height * side];
};
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  drawing = true;
  pen();
  context.beginPath();
  context.moveTo(...at(event));
  context.lineTo(...at(event));
  context.stroke();
});
canvas.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  context.lineTo(...at(event));
  context.stroke();
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (drawing) give(canvas.toDataURL("image/png"), "Drawn.");
    drawing = false;
  });
}
element.querySelector("[data-do=clear]").addEventListener("click", () => { wipe(); give(null, "Empty."); });
element.querySelector("[data-do=example]").addEventListener("click", () => {
  const names = Object.keys(SHAPES), name = names[(next + 5) % names.length], box = side * share();
  next += 1;
  wipe();
  pen();
  for (const stroke of SHAPES[name]) {
    const places = stroke.map((point) => point.map((value) => side / 2 + (value / 20 - 0.5) * box * 20 / 28));
    context.beginPath();
    context.moveTo(...places[0]);
    for (let i = 1; i < places.length - 1; i++) {  // smooth through the middles
      context.quadraticCurveTo(...places[i], ...places[i].map((value, axis) => (value + places[i + 1][axis]) / 2));
    }
    context.lineTo(...places[places.length - 1]);
    context.stroke();
  }
  give(canvas.toDataURL("image/png"), `An example of ${name}.`);
});
element.querySelector("input").addEventListener("change", (event) => {
  const file = event.target.files[0];
  event.target.value = "";
  if (!file) return;
  if (file.size > LARGEST) { note.textContent = "The file is larger than 20 MB."; return; }
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    const image = new Image();
    wipe();
    image.addEventListener("load", () => {
      const scale = side / Math.max(image.width, image.height), size = [image.width * scale, image.height * scale];
      context.drawImage(image, (side - size[0]) / 2, (side - size[1]) / 2, ...size);
    });
    image.src = reader.result;
    give(reader.result, `The file ${file.name}.`);
  });
  reader.readAsDataURL(file);
});
watch(["size", "digit"], hint);
wipe();
hint();
