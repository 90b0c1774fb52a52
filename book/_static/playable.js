// What the figures a reader can play with have in common. A page places
//   <div class="playable" data-playable="NAME" id="playable-NAME" data-…='JSON'> fallback </div>
// and the script of that name builds the figure. The fallback (a sentence and a table) stays where scripts
// are off, and is hidden only after its figure has been built without an error.
"use strict";

window.playable = (() => {
  const SVG = new Set(["svg", "g", "line", "circle", "text", "path"]);

  // element("td", {class: "number"}, "0.5"): attributes given as null are left out
  function element(tag, attributes = {}, ...children) {
    const made = SVG.has(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // The rules of minitx.functional.masked_softmax: -Infinity is forbidden, a row that may see nothing is zeros.
  function softmax(scores) {
    const top = Math.max(...scores);
    if (top === -Infinity) return scores.map(() => 0);
    const powers = scores.map((score) => Math.exp(score - top));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  }

  const show = (number, digits = 3) =>
    Number.isFinite(number) ? number.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−")
      : number > 0 ? "∞" : "−∞";

  // Writes a number for the eye and keeps all its digits for whoever checks it.
  function write(cell, number, digits = 3) {
    cell.textContent = show(number, digits);
    cell.dataset.value = number;
  }

  // A table cell with a number and a bar of that share of the width.
  function barCell() {
    const number = element("span", { class: "playable-number" });
    const fill = element("span", { class: "playable-fill" });
    const cell = element("td", { class: "playable-bar" }, number,
      element("span", { class: "playable-track", "aria-hidden": "true" }, fill));
    cell.set = (share) => { write(number, share); fill.style.width = `${100 * share}%`; };
    return cell;
  }

  // A heading called "weight" stands over bars.
  function table(caption, headings, rows) {
    const head = element("tr", {}, ...headings.map((text) =>
      element("th", { scope: "col", class: text === "weight" ? "playable-bar" : null }, text)));
    return element("table", { class: "playable-table" }, element("caption", {}, caption),
      element("thead", {}, head), element("tbody", {}, ...rows));
  }

  function button(text, act) {
    const made = element("button", { type: "button", class: "playable-button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  // One sentence for screen readers, said when the reader pauses rather than at every step of a drag.
  function speaker() {
    const status = element("p", { class: "playable-spoken", role: "status" });
    let waiting = 0;
    status.say = (sentence) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { status.textContent = sentence; }, 600);
    };
    return status;
  }

  // build(data, place) returns the figure's elements; data holds the data-… attributes, parsed.
  function figure(name, label, build) {
    document.addEventListener("DOMContentLoaded", () => {
      for (const place of document.querySelectorAll(`.playable[data-playable="${name}"]`)) {
        const data = {};
        for (const [key, text] of Object.entries(place.dataset)) {
          if (key !== "playable") data[key] = JSON.parse(text);
        }
        const parts = build(data, place);
        const fallback = element("div", { hidden: "" });
        fallback.append(...place.childNodes);
        place.setAttribute("role", "group");
        place.setAttribute("aria-label", label);
        place.append(...parts, fallback);
        place.classList.add("playable-ready");
      }
    });
  }

  return { element, softmax, show, write, barCell, table, button, speaker, figure };
})();
