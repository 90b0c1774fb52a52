// A query among 2-D keys: move it, change the temperature, and see weights and result follow.
//   data-keys="[[1,0],[0,1]]"   data-values="[10,20]" (numbers, or lists of numbers)   data-query="[1,0.5]"
//   optional: data-labels='["a","b"]'   data-temperature="1"   data-digits="2" (of scores and result)
//             data-reach="4" (how far the query can go; unless given, a little further than the keys)
// scores = keys · query; weights = softmax(scores / temperature): minitx.numpy_core.soft_lookup.
"use strict";

playable.figure("soft-lookup", "Soft lookup: move the query", (data) => {
  const { element, softmax, show, write, barCell, table, button, speaker } = playable;
  const TEMPERATURES = [0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, Infinity];
  const SIZE = 300;
  const keys = data.keys;
  const values = data.values.map((value) => [value].flat());
  const labels = data.labels ?? keys.map((_, index) => `key ${index + 1}`);
  const digits = data.digits ?? 3;
  const start = data.query;
  const startTemperature = data.temperature ?? 1;
  // Pixels to a unit of the plane, the same both ways, with room for labels.
  const reach = data.reach ?? 1.3 * Math.max(...[...keys, start].flat().map(Math.abs));
  const step = 10 ** Math.floor(Math.log10(reach / 5));
  const x = (unit) => SIZE / 2 + (unit / reach) * (SIZE / 2);
  const y = (unit) => SIZE / 2 - (unit / reach) * (SIZE / 2);
  let query = [...start];

  // Hard lookup at 0 (ties share), the plain average at infinity.
  function weigh(scores, temperature) {
    if (temperature > 0) return softmax(scores.map((score) => score / temperature));
    const top = Math.max(...scores);
    return softmax(scores.map((score) => (score === top ? 0 : -Infinity)));
  }

  const dots = keys.map(([a, b]) => element("circle", { class: "playable-key", cx: x(a), cy: y(b) }));
  const names = labels.map((label) => element("text", { "text-anchor": "middle" }, label));
  const arrow = element("line", { class: "playable-arrow", x1: x(0), y1: y(0) });
  const handle = element("circle", {
    class: "playable-handle", r: 11, tabindex: 0, role: "slider", "aria-label": "query",
    "aria-valuemin": -reach, "aria-valuemax": reach, "aria-roledescription": "point in the plane",
  });
  const plane = element("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "playable-plane" },
    element("line", { class: "playable-axis", x1: 0, x2: SIZE, y1: y(0), y2: y(0) }),
    element("line", { class: "playable-axis", x1: x(0), x2: x(0), y1: 0, y2: SIZE }),
    arrow, ...dots, ...names, handle);

  const slider = element("input", { type: "range", min: 0, max: TEMPERATURES.length - 1, step: 1 });
  const chosen = element("span", { class: "playable-chosen" });
  slider.value = TEMPERATURES.indexOf(startTemperature);
  if (slider.value < 0) throw new Error(`temperature ${startTemperature} is not one of ${TEMPERATURES}`);
  const cells = keys.map(() => ({ score: element("td", {}), weight: barCell() }));
  const lookup = table("score = query · key, weight = softmax(score / temperature)",
    ["key", "value", "score", "weight"],
    keys.map((_, index) => element("tr", {}, element("th", { scope: "row", class: "playable-k" }, labels[index]),
      element("td", { class: "playable-v" }, values[index].map((part) => show(part, Number.isInteger(part) ? 0 : digits)).join(", ")),
      cells[index].score, cells[index].weight)));
  const at = element("span", { class: "playable-q" });
  const results = values[0].map(() => element("strong", { class: "playable-v" }));
  const spoken = speaker();

  // The name of a key stands beside it, on the side that the query's line does not pass.
  function name([a, b], index) {
    const length = Math.hypot(...query);
    const side = query[0] * b < query[1] * a ? -1 : 1;
    const [right, above] = length ? [-side * query[1] / length, side * query[0] / length] : [0, 1];
    const [wide, high] = [4 * labels[index].length, 7]; // half of the letters' box
    const away = wide * Math.abs(right) + high * Math.abs(above) + 17;
    const inside = (at, half) => Math.min(SIZE - half, Math.max(half, at));
    names[index].setAttribute("x", inside(x(a) + away * right, wide));
    names[index].setAttribute("y", inside(y(b) - away * above, high) + 5);
  }

  function update() {
    const temperature = TEMPERATURES[slider.value];
    const scores = keys.map(([a, b]) => a * query[0] + b * query[1]);
    const weights = weigh(scores, temperature);
    const result = results.map((_, part) =>
      weights.reduce((sum, weight, index) => sum + weight * values[index][part], 0));
    handle.setAttribute("cx", x(query[0]));
    handle.setAttribute("cy", y(query[1]));
    handle.setAttribute("aria-valuenow", query[0]);
    handle.setAttribute("aria-valuetext", `${show(query[0], 2)} across, ${show(query[1], 2)} up`);
    arrow.setAttribute("x2", x(query[0]));
    arrow.setAttribute("y2", y(query[1]));
    dots.forEach((dot, index) => dot.setAttribute("r", 4 + 10 * Math.sqrt(weights[index])));
    keys.forEach(name);
    cells.forEach(({ score, weight }, index) => {
      write(score, scores[index], digits);
      weight.set(weights[index]);
    });
    results.forEach((cell, part) => write(cell, result[part], digits));
    at.textContent = `query (${show(query[0], 2)}, ${show(query[1], 2)})`;
    const called = temperature === 0 ? "0: hard lookup"
      : temperature === Infinity ? "∞: plain average" : String(temperature);
    chosen.textContent = called;
    slider.setAttribute("aria-valuetext", called);
    const best = weights.indexOf(Math.max(...weights));
    spoken.say(`Most weight, ${show(weights[best], 2)}, on ${labels[best]}. `
      + `Result ${result.map((part) => show(part, 2)).join(", ")}.`);
  }

  function move(to) {
    const limit = Math.floor(reach / step) * step;
    query = to.map((unit) => {
      const snapped = Math.round(unit / step) * step;
      return Number(Math.min(limit, Math.max(-limit, snapped)).toFixed(6));
    });
    update();
  }

  function moveToPointer(event) {
    const box = plane.getBoundingClientRect();
    move([((event.clientX - box.left) / box.width - 0.5) * 2 * reach,
      (0.5 - (event.clientY - box.top) / box.height) * 2 * reach]);
  }

  // The handle is dragged (a finger elsewhere scrolls the page); a click anywhere sends the query there.
  handle.addEventListener("pointerdown", (event) => { handle.setPointerCapture(event.pointerId); handle.focus(); });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) moveToPointer(event);
  });
  plane.addEventListener("click", moveToPointer);
  handle.addEventListener("keydown", (event) => {
    const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (by) move([query[0] + by[0] * step, query[1] + by[1] * step]);
    else if (event.key === "Home") { query = [...start]; update(); } else return;
    event.preventDefault();
  });
  slider.addEventListener("input", update);
  const reset = button("Start again", () => {
    query = [...start];
    slider.value = TEMPERATURES.indexOf(startTemperature);
    update();
  });

  update();
  return [
    element("p", { class: "playable-help" },
      "Drag the ring, click in the plane, or focus the ring and use the arrow keys."),
    element("div", { class: "playable-columns" }, plane,
      element("div", { class: "playable-scroll" }, lookup,
        element("p", { class: "playable-result" }, at, " → result ",
          ...results.flatMap((cell, part) => (part ? [", ", cell] : [cell]))))),
    element("div", { class: "playable-controls" },
      element("label", {}, "temperature ", slider), chosen, reset),
    spoken,
  ];
});
