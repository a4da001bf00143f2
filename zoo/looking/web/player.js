// Plays steps one after the other: a button, a slider, and what the step is called.

function player(count, name, draw, wait = 350, start = 0) {
  const button = make("button", {type: "button"}, "Play");
  const slider = make("input", {type: "range", min: 0, max: Math.max(0, count - 1), step: 1, value: start});
  slider.setAttribute("aria-label", "step");
  const label = make("span", {});
  let timer = null;
  const show = (step) => {
    slider.value = step;
    label.textContent = name(step);
    slider.setAttribute("aria-valuetext", name(step));
    draw(step);
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  const next = () => { if (+slider.value >= count - 1) stop(); else show(+slider.value + 1); };
  button.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (+slider.value >= count - 1) show(0);
    button.textContent = "Pause";
    timer = setInterval(next, wait);
  });
  slider.addEventListener("input", () => { stop(); show(+slider.value); });
  const go = (step) => { stop(); show(step); };
  return {box: make("div", {className: "player"}, button, slider, label), go, start: () => show(start)};
}
