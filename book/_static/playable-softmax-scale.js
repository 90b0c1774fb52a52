// What a wide key does to the softmax: choose d_k, divide by √d_k or not, and see the weights saturate.
//   data-scores="[1.2,-0.3,…]"   dot products at d_k = 1 (variance 1); at d_k they are √d_k times as large
//   optional: data-dk="64" (where it starts)   data-scaled="true"   data-labels='["k1",…]'
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
  const d_k = () => element("span", {}, element("i", {}, "d"), element("sub", {}, "k"));
  const cells = data.scores.map(() => ({ score: element("td", {}), weight: barCell() }));
  const weights = table("weight = softmax(score)", ["key", "score", "weight"],
    cells.map(({ score, weight }, index) =>
      element("tr", {}, element("th", { scope: "row" }, labels[index]), score, weight)));
  const largest = element("strong", { class: "playable-largest" });
  const slope = element("strong", { class: "playable-slope" });
  const spoken = speaker();

  function update() {
    const d = 2 ** Number(slider.value);
    const factor = box.checked ? 1 : Math.sqrt(d);
    const scores = data.scores.map((score) => score * factor);
    const shares = softmax(scores);
    const top = Math.max(...shares);
    const steepest = Math.max(...shares.map((share) => share * (1 - share)));
    width.textContent = d;
    slider.setAttribute("aria-valuetext", `d k equals ${d}`);
    cells.forEach(({ score, weight }, index) => {
      write(score, scores[index], 2);
      weight.set(shares[index]);
    });
    write(largest, top);
    write(slope, steepest, 6);
    spoken.say(`Largest weight ${show(top)}, largest slope ${show(steepest, 6)}.`);
  }

  slider.addEventListener("input", update);
  box.addEventListener("change", update);
  update();
  return [
    element("div", { class: "playable-controls" },
      element("label", {}, d_k(), slider), width,
      element("label", {}, box, element("span", {}, "divide by √", d_k()))),
    element("div", { class: "playable-scroll" }, weights),
    element("p", { class: "playable-result" },
      "largest weight ", largest, " · largest slope ", element("i", {}, "a"), "(1 − ", element("i", {}, "a"), ") ", slope),
    spoken,
  ];
});
