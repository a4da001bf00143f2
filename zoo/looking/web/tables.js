// The numbers behind the pictures, as tables: for screen readers, and for who wants to copy them.

const FULL = 3000;  // cells of a table that is given whole

function table(caption, columns, rows) {
  const head = make("tr", {}, ...columns.map((name) => make("th", {scope: "col"}, name)));
  const body = rows.map(([name, ...cells]) =>
    make("tr", {}, make("th", {scope: "row"}, name), ...cells.map((cell) => make("td", {}, cell))));
  return make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
}

// A folded table, which is made when it is opened, and again where its numbers change.
function folded(summary, build) {
  const place = make("div", {className: "scroll", tabIndex: 0, role: "region", "aria-label": summary});
  const details = make("details", {}, make("summary", {}, summary), place);
  const fill = () => details.open && place.replaceChildren(build());
  details.addEventListener("toggle", fill);
  return {details, fill};
}

function heaviest(weights, head, output, count) {
  const order = [...Array(weights.inputs).keys()].map((input) => [weights.value(head, output, input), input]);
  return order.sort((a, b) => b[0] - a[0]).slice(0, count);
}

function weightTable(weights, head, inputs, outputs) {
  const most = weights.largest(head);
  const number = (output, input) => shown(weights.value(head, output, input), most);
  if (weights.inputs * weights.outputs <= FULL) {
    const rows = outputs.map((name, output) => [name, ...inputs.map((_, input) => number(output, input))]);
    return table("Each row says how much of it lies on each column", ["", ...inputs], rows);
  }
  const rows = outputs.map((name, output) =>
    [name, ...heaviest(weights, head, output, 5).map(([, input]) => `${inputs[input]} ${number(output, input)}`)]);
  return table("What each looks at most, the five heaviest", ["", "1", "2", "3", "4", "5"], rows);
}
