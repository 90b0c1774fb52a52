// Who may attend to whom: press a cell to forbid or allow it, and see each row's weights renormalise.
//   data-scores="[[…],…]" (T × T)   data-tokens='["the","cat",…]'
//   optional: data-length="3" (how many tokens are not padding; default T - 2)   data-preset='"causal"'
// A row in which nothing is allowed shows zeros: minitx.functional.masked_softmax.
"use strict";

playable.figure("mask-editor", "Mask editor", (data) => {
  const { element, softmax, show, write, button, speaker } = playable;
  const T = data.scores.length;
  const tokens = data.tokens;
  const length = data.length ?? T - 2;
  const positions = [...Array(T).keys()];
  const PRESETS = {
    none: () => true,
    causal: (i, j) => j <= i,
    padding: (i, j) => j < length,
    "causal and padding": (i, j) => j <= i && j < length,
  };
  const presets = Object.keys(PRESETS).map((name) => button(name, () => choose(name)));
  const cells = positions.map((i) => positions.map((j) => button("", () => toggle(i, j))));
  const sums = positions.map(() => element("td", { class: "playable-sum" }));
  const spoken = speaker();
  let allowed = [];

  function update() {
    Object.values(PRESETS).forEach((rule, index) => {
      const chosen = positions.every((i) => positions.every((j) => allowed[i][j] === rule(i, j)));
      presets[index].setAttribute("aria-pressed", chosen);
    });
    positions.forEach((i) => {
      const weights = softmax(data.scores[i].map((score, j) => (allowed[i][j] ? score : -Infinity)));
      write(sums[i], weights.reduce((sum, weight) => sum + weight, 0), 0);
      weights.forEach((weight, j) => {
        const cell = cells[i][j];
        write(cell, weight, 2);
        cell.style.setProperty("--weight", `${100 * weight}%`);
        cell.setAttribute("aria-pressed", allowed[i][j]);
        cell.setAttribute("aria-label",
          `${tokens[i]} ${allowed[i][j] ? "may" : "may not"} attend to ${tokens[j]}: weight ${show(weight, 2)}`);
      });
    });
  }

  function toggle(i, j) {
    allowed[i][j] = !allowed[i][j];
    update();
    spoken.say(allowed[i].some(Boolean) ? `Row ${tokens[i]}: ${cells[i].map((cell) => cell.textContent).join(", ")}.`
      : `Row ${tokens[i]} may attend to nothing: all weights are 0.`);
  }

  function choose(name) {
    allowed = positions.map((i) => positions.map((j) => PRESETS[name](i, j)));
    update();
    spoken.say(`Mask: ${name}.`);
  }

  // One tab stop for the whole grid; the arrow keys move inside it.
  function focus(i, j) {
    cells.flat().forEach((cell) => { cell.tabIndex = -1; });
    cells[i][j].tabIndex = 0;
    return cells[i][j];
  }
  cells.forEach((row, i) => row.forEach((cell, j) => {
    cell.classList.add("playable-cell");
    cell.addEventListener("focus", () => focus(i, j));
    cell.addEventListener("keydown", (event) => {
      const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!by) return;
      event.preventDefault();
      focus((i + by[0] + T) % T, (j + by[1] + T) % T).focus();
    });
  }));
  focus(0, 0);

  const grid = playable.table("rows: queries, columns: keys; each number is a weight",
    ["query", ...tokens, "sum"],
    positions.map((i) => element("tr", {}, element("th", { scope: "row" }, tokens[i]),
      ...cells[i].map((cell) => element("td", {}, cell)), sums[i])));
  grid.classList.add("playable-grid");
  choose(data.preset ?? "none");
  return [
    element("div", { class: "playable-controls" }, element("span", {}, "mask: "), ...presets),
    element("p", { class: "playable-help" },
      "Press a cell to forbid or allow it; the arrow keys move from cell to cell."),
    element("div", { class: "playable-scroll" }, grid),
    spoken,
  ];
});
