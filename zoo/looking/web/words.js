// Words that light up: pointing at one shows its row of the alignment on the other side, or its column.

// The words of one side as buttons. `choose` is told the index that is pointed at, and whether it shall stay.
function wordRow(label, side, choose) {
  const group = make("div", {className: "words", role: "group", "aria-label": label});
  const buttons = side.names.map((name, index) => {
    const number = make("small", {});
    const word = make("button", {type: "button", className: side.gaps[index] ? "word gap" : "word", dir: "auto"}, name, number);
    word.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && choose(index, false));
    word.addEventListener("focus", () => choose(index, false));
    word.addEventListener("click", () => choose(index, true));
    word.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      const next = step && buttons[index + step];
      if (next) { event.preventDefault(); next.focus(); }
    });
    return word;
  });
  group.append(...buttons);
  const light = (values, most, chosen, stays) => buttons.forEach((word, index) => {
    const value = values && values[index];
    word.style.setProperty("--share", values ? Math.min(1, value / most) : 0);
    word.lastChild.textContent = values ? shown(value, most) : "";
    word.classList.toggle("chosen", index === chosen);
    word.setAttribute("aria-pressed", index === chosen && stays);
  });
  return {group, light};
}

// Buttons for the heads, a row for each layer, before them their mean; `choose` is told a head or the list of all.
function headButtons(weights, choose) {
  const columns = weights.heads / weights.layers, all = [...Array(weights.heads).keys()], buttons = [];
  const box = make("div", {className: "heads", role: "group", "aria-label": "heads"});
  box.style.gridTemplateColumns = `repeat(${columns + 1}, max-content)`;
  const add = (head, name, column) => {
    const canvas = make("canvas", {}), most = weights.largest(head);
    canvas.setAttribute("aria-hidden", "true");
    const draw = () => drawShares(canvas, weights.outputs, weights.inputs, (o, i) => Math.sqrt(weights.value(head, o, i) / most));
    draw();
    repainted.push(draw);
    const button = make("button", {type: "button"}, canvas, name);
    button.style.gridColumn = column;
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
      choose(head);
    });
    button.setAttribute("aria-pressed", buttons.length === 0);
    buttons.push(button);
    box.append(button);
  };
  add(all, "mean of all", 1);
  all.forEach((head) => {
    const layer = Math.floor(head / columns), within = head % columns;
    add(head, weights.layers > 1 ? `layer ${layer + 1}, head ${within + 1}` : `head ${within + 1}`, within + 2);
  });
  return box;
}

// The alignment as a matrix, outputs down and inputs across, with the row or column that is pointed at.
function matrix(weights, choose) {
  const {outputs, inputs} = weights, cell = Math.min(22, 640 / Math.max(outputs, inputs));
  const canvas = make("canvas", {role: "img", "aria-label": "the alignment as a matrix; its numbers are in the table below"});
  const bar = make("i", {}), box = make("div", {className: "matrix"}, canvas, bar);
  box.style.width = `min(100%, ${inputs * cell + 2}px)`;
  canvas.style.aspectRatio = `${inputs} / ${outputs}`;
  const at = (event) => {
    const place = canvas.getBoundingClientRect(), within = (share, size) => Math.max(0, Math.min(size - 1, Math.floor(share * size)));
    return [within((event.clientY - place.top) / place.height, outputs), within((event.clientX - place.left) / place.width, inputs)];
  };
  canvas.addEventListener("pointermove", (event) => choose(at(event), false));
  canvas.addEventListener("click", (event) => choose(at(event), true));
  const draw = (head, most, {side, index}) => {
    drawShares(canvas, outputs, inputs, (o, i) => Math.sqrt(weights.value(head, o, i) / most));
    const [rows, columns] = side === "out" ? [index / outputs, 0] : [0, index / inputs];
    const [high, wide] = side === "out" ? [1 / outputs, 1] : [1, 1 / inputs];
    const percent = (share) => `${100 * share}%`;
    Object.assign(bar.style, {left: percent(columns), top: percent(rows), width: percent(wide), height: percent(high)});
  };
  return {box, draw};
}

function wordView(place, sample) {
  const weights = readWeights(sample.weights), {inputs, outputs} = sample;
  const state = {head: weights.heads > 1 ? [...Array(weights.heads).keys()] : 0, side: "out", index: 0, stays: false};
  const said = make("p", {className: "said", role: "status"});
  let drawn = null;
  const choose = (side) => (index, stays) => {
    if (stays) state.stays = !(state.stays && state.side === side && state.index === index);
    else if (state.stays) return;
    Object.assign(state, {side, index});
    update();
  };
  const rows = {out: wordRow(sample.axes[1], outputs, choose("out")), in: wordRow(sample.axes[0], inputs, choose("in"))};
  const small = matrix(weights, ([output], stays) => choose("out")(output, stays));
  const numbers = folded("Table of the weights", () => weightTable(weights, state.head, inputs.names, outputs.names));

  function update() {
    if (!weights.outputs || !weights.inputs) return;
    const {head, side, index} = state, most = weights.largest(head), across = side === "out";
    const count = across ? weights.inputs : weights.outputs;
    const values = [...Array(count).keys()].map((other) => across ? weights.value(head, index, other) : weights.value(head, other, index));
    const top = Math.max(...values) || 1, [from, to] = across ? [outputs, inputs] : [inputs, outputs];
    rows.out.light(across ? null : values, top, across ? index : -1, state.stays);
    rows.in.light(across ? values : null, top, across ? -1 : index, state.stays);
    const best = values.map((value, other) => [value, other]).sort((a, b) => b[0] - a[0]).slice(0, 3);
    const told = best.map(([value, other]) => `${to.names[other]} ${shown(value, top)}`).join(", ");
    said.textContent = `${from.names[index]} ${across ? "looks at" : "is looked at by"}: ${told}`;
    const look = JSON.stringify(head);
    if (look !== drawn) numbers.fill();
    drawn = look;
    small.draw(head, most, state);
  }

  place.append(...(weights.heads > 1 ? [make("h2", {}, "Heads"), headButtons(weights, (head) => { state.head = head; update(); })] : []));
  place.append(make("h2", {}, sample.axes[1]), rows.out.group, make("h2", {}, sample.axes[0]), rows.in.group, said);
  if (weights.outputs > 1) place.append(make("figure", {}, small.box));
  place.append(numbers.details);
  place.addEventListener("keydown", (event) => { if (event.key === "Escape") { state.stays = false; update(); } });
  repainted.push(() => { update(); });
  update();
}
