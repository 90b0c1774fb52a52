// What a wide key does to the softmax: choose D_k, divide by √D_k or not, and see the weights saturate.
//   data-scores="[1.2,-0.3,…]"   dot products at D_k = 1 (variance 1); at D_k they are √D_k times as large
//   optional: data-dk="64" (where it starts)   data-scaled="true"   data-labels='["k1",…]'
// The curve is the weight of the best key against its own score, 0 where it has half: always 1 / (1 + e^-x). What
// moves is the point, and the tangent in it.
// largest slope = the largest entry of the softmax's Jacobian, max a(1 - a): how much of a gradient gets through.
"use strict";

playable.figure("softmax-scale", "Softmax and the width of the keys", (data) => {
  const { element, softmax, show, write, barCell, table, speaker } = playable;
  const labels = data.labels ?? data.scores.map((_, index) => `key ${index + 1}`);
  const slider = element("input", { type: "range", min: 0, max: 10, step: 1 });
  slider.value = Math.log2(data.dk ?? 64);
  const box = element("input", { type: "checkbox" });
  box.checked = data.scaled ?? false;
  const width = element("span", { class: "playable-chosen" });
  const D_k = () => element("span", {}, element("i", {}, "D"), element("sub", {}, "k"));
  const cells = data.scores.map(() => ({ score: element("td", {}), weight: barCell() }));
  const weights = table("weight = softmax(score)", ["key", "score", "weight"],
    cells.map(({ score, weight }, index) =>
      element("tr", {}, element("th", { scope: "row", class: "playable-k" }, labels[index]), score, weight)));
  const largest = element("strong", { class: "playable-largest" });
  const slope = element("strong", { class: "playable-slope" });
  const spoken = speaker();

  const [WIDE, HIGH, REACH] = [300, 130, 12]; // the curve shows scores from -REACH to REACH
  const across = (x) => 10 + (WIDE - 20) * (x + REACH) / (2 * REACH);
  const up = (a) => HIGH - 26 - (HIGH - 46) * a;
  const weightAt = (x) => 1 / (1 + Math.exp(-x));
  const path = [...Array(97).keys()].map((i) => REACH * (i / 48 - 1))
    .map((x, i) => `${i ? "L" : "M"}${across(x).toFixed(1)},${up(weightAt(x)).toFixed(1)}`).join("");
  const tangent = element("line", { class: "playable-tangent" });
  const point = element("circle", { class: "playable-point", r: 6 });
  const curve = element("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "playable-curve", "aria-hidden": "true" },
    element("line", { class: "playable-axis", x1: across(0), x2: across(0), y1: up(1), y2: up(0) }),
    element("path", { d: path }), tangent, point,
    element("text", { x: 10, y: 14 }, "weight of the best key"),
    element("text", { x: WIDE - 10, y: HIGH - 6, "text-anchor": "end" }, "its score"));

  function move(best, others) {
    const x = Math.max(-REACH, Math.min(REACH, best - others)); // further out the curve is as flat
    const slope = weightAt(x) * (1 - weightAt(x));
    const run = 2;
    point.setAttribute("cx", across(x));
    point.setAttribute("cy", up(weightAt(x)));
    tangent.setAttribute("x1", across(x - run));
    tangent.setAttribute("y1", up(weightAt(x) - run * slope));
    tangent.setAttribute("x2", across(x + run));
    tangent.setAttribute("y2", up(weightAt(x) + run * slope));
  }

  function update() {
    const d = 2 ** Number(slider.value);
    const factor = box.checked ? 1 : Math.sqrt(d);
    const scores = data.scores.map((score) => score * factor);
    const shares = softmax(scores);
    const top = Math.max(...shares);
    const steepest = Math.max(...shares.map((share) => share * (1 - share)));
    width.textContent = d;
    slider.setAttribute("aria-valuetext", `D k equals ${d}`);
    cells.forEach(({ score, weight }, index) => {
      write(score, scores[index], 2);
      weight.set(shares[index]);
    });
    const best = scores.indexOf(Math.max(...scores));
    const rest = scores.filter((_, index) => index !== best);
    const highest = Math.max(...rest);
    move(scores[best], highest + Math.log(rest.reduce((sum, score) => sum + Math.exp(score - highest), 0)));
    write(largest, top);
    write(slope, steepest, 6);
    spoken.say(`Largest weight ${show(top)}, largest slope ${show(steepest, 6)}.`);
  }

  slider.addEventListener("input", update);
  box.addEventListener("change", update);
  update();
  return [
    element("div", { class: "playable-controls" },
      element("label", {}, D_k(), slider), width,
      element("label", {}, box, element("span", {}, "divide by √", D_k()))),
    element("div", { class: "playable-columns" }, curve, element("div", { class: "playable-scroll" }, weights)),
    element("p", { class: "playable-result" },
      "largest weight ", largest, " · largest slope ", element("i", {}, "a"), "(1 − ", element("i", {}, "a"), ") ", slope),
    spoken,
  ];
});
