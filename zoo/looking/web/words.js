// Words that light up: pointing at one shows its row of the alignment on the other side, or its column.

// The words of one side as buttons. `choose` is told the index that is pointed at, and whether it shall stay.
function wordRow(label, side, choose) {
  const group = make("div", {className: "words", role: "group", "aria-label": label});
  const buttons = side.names.map((name, index) => {
    const className = side.gaps[index] ? "word gap" : "word";
    const word = make("button", {type: "button", className, dir: "auto"}, name, make("small", {}));
    word.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && choose(index, false));
    word.addEventListener("focus", () => choose(index, false));
    word.addEventListener("click", () => choose(index, true));
    word.addEventListener("keydown", (event) => {
      const next = buttons[index + {ArrowRight: 1, ArrowLeft: -1}[event.key]];
      if (!next) return;
      event.preventDefault();
      next.focus();
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

// Weak weights are drawn a little stronger than they are, so that they are seen; the numbers are as they are.
const brightness = (weights, head, most) => (output, input) => Math.sqrt(weights.value(head, output, input) / most);

// Buttons for the heads, a row for each layer, before them their mean; `choose` is told a head or the list of all.
// Heads with names of their own are accounts of different kinds, which have no mean.
function headButtons(weights, names, choose) {
  const columns = weights.heads / weights.layers, all = counted(weights.heads), buttons = [];
  const box = make("div", {className: "heads", role: "group", "aria-label": "heads"});
  box.style.gridTemplateColumns = `repeat(${columns + 1}, max-content)`;
  const add = (head, name, column) => {
    const canvas = make("canvas", {ariaHidden: "true"}), share = brightness(weights, head, weights.largest(head));
    const draw = () => drawShares(canvas, weights.outputs, weights.inputs, share);
    const button = make("button", {type: "button"}, canvas, name);
    button.style.gridColumn = column;
    button.setAttribute("aria-pressed", buttons.length === 0);
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
      choose(head);
    });
    draw();
    repainted.push(draw);
    buttons.push(button);
    box.append(button);
  };
  if (names) {
    names.forEach((name, head) => add(head, name, head + 1));
    return box;
  }
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
  const label = "the alignment as a matrix; its numbers are in the table below";
  const canvas = make("canvas", {role: "img", ariaLabel: label});
  const bar = make("i", {}), box = make("div", {className: "matrix"}, canvas, bar);
  box.style.width = `min(100%, ${inputs * cell + 2}px)`;
  canvas.style.aspectRatio = `${inputs} / ${outputs}`;
  const row = (event) => {
    const place = canvas.getBoundingClientRect(), share = (event.clientY - place.top) / place.height;
    return Math.max(0, Math.min(outputs - 1, Math.floor(share * outputs)));
  };
  canvas.addEventListener("pointermove", (event) => choose(row(event), false));
  canvas.addEventListener("click", (event) => choose(row(event), true));
  const draw = (head, most, {side, index}) => {
    drawShares(canvas, outputs, inputs, brightness(weights, head, most));
    const [top, left] = side === "out" ? [index / outputs, 0] : [0, index / inputs];
    const [height, width] = side === "out" ? [1 / outputs, 1] : [1, 1 / inputs];
    for (const [name, share] of Object.entries({top, left, height, width})) bar.style[name] = `${100 * share}%`;
  };
  return {box, draw};
}

function wordView(place, sample) {
  const weights = readWeights(sample.weights), {inputs, outputs, axes} = sample;
  const all = weights.heads > 1 && !sample.heads ? counted(weights.heads) : 0;
  const state = {head: all, side: "out", index: 0, stays: false};
  const said = make("p", {className: "said", role: "status"});
  const choose = (side) => (index, stays) => {
    if (stays) state.stays = !(state.stays && state.side === side && state.index === index);
    else if (state.stays) return;
    Object.assign(state, {side, index});
    update();
  };
  const rows = {out: wordRow(axes[1], outputs, choose("out")), in: wordRow(axes[0], inputs, choose("in"))};
  const small = matrix(weights, choose("out"));
  const numbers = folded("Table of the weights", () => weightTable(weights, state.head, inputs.names, outputs.names));

  function update() {
    const {head, side, index, stays} = state, across = side === "out";
    const [from, to, lit, other] = across
      ? [outputs, inputs, rows.in, rows.out] : [inputs, outputs, rows.out, rows.in];
    const values = to.names.map((_, at) => across ? weights.value(head, index, at) : weights.value(head, at, index));
    const top = Math.max(...values) || 1;
    other.light(null, 1, index, stays);
    lit.light(values, top, -1, false);
    const best = values.map((value, at) => [value, at]).sort((a, b) => b[0] - a[0]).slice(0, 3);
    const told = best.map(([value, at]) => `${to.names[at]} ${shown(value, top)}`).join(", ");
    said.textContent = `${from.names[index]} ${across ? "looks at" : "is looked at by"}: ${told}`;
    small.draw(head, weights.largest(head), state);
  }

  const chooseHead = (head) => {
    state.head = head;
    update();
    numbers.fill();
  };
  if (weights.heads > 1) place.append(make("h2", {}, sample.heads ? "Accounts" : "Heads"), headButtons(weights, sample.heads, chooseHead));
  place.append(make("h2", {}, axes[1]), rows.out.group, make("h2", {}, axes[0]), rows.in.group, said);
  if (weights.outputs > 1) place.append(make("figure", {}, small.box));
  place.append(numbers.details);
  place.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    state.stays = false;
    update();
  });
  repainted.push(update);
  update();
}
