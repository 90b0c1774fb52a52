// A question that the page asks. What minitx/authoring/questions.py describes, <div class="question" id="q-…"> with
// a list of choices or none, becomes a form: its answer is judged, a wrong one is named by its line, and the fold
// with the explanation opens. Without scripts, or where the text has another shape, it stays text with a fold.
"use strict";

(() => {
  const { element, button } = playable;

  // --- numbers, as an author or a reader writes them -------------------------------------------------------------

  // All that "1,234" can mean: a comma parts thousands, or stands for the point.
  function plain(text) {
    const written = [text.replace(",", ".")];
    if (/^[1-9]\d{0,2}(,\d{3})+(?![\d,])/.test(text)) written.push(text.replaceAll(",", ""));
    return written.filter((each) => /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(each)).map(Number);
  }

  const combined = (lists, combine) =>
    lists.reduce((before, after) => before.flatMap((a) => after.map((b) => combine(a, b))));
  const signed = (text) => (text.startsWith("-") ? plain(text.slice(1)).map((number) => -number) : plain(text));
  const power = (text) => combined(text.split("^").map((part, i) => (i === 0 ? plain : signed)(part)), (a, b) => a ** b);
  const product = (text) => combined(text.split("*").map(power), (a, b) => a * b);
  const fraction = (text) => combined(text.split("/").map(product), (a, b) => a / b);

  const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const lowered = (text) => text.replace(/(⁻?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)/g, (_, minus, digits) =>
    `^${minus && "-"}${[...digits].map((digit) => RAISED.indexOf(digit)).join("")}`);

  // Every number that a text can mean; none if it means none. 0.25, 0,25, 1/4, 25 %, 2^-2, 65 536, −1, 3·10¹⁸.
  function readings(text, unit = "") {
    let rest = lowered(text.trim().toLowerCase()).replace(/[−–]/g, "-").replace(/[×·]|\s+x\s+/g, "*").replaceAll("**", "^")
      .replace(/^[=≈~]\s*/, "").replace(/(\d)[\s_](?=\d)/g, "$1").replace(/\s+/g, " ");
    const percent = /\s*(%|per ?cent)$/;
    const inPercent = percent.test(rest);
    rest = inPercent ? rest.replace(percent, "") : rest;
    const wanted = unit.toLowerCase();
    if (wanted && wanted !== "%" && rest.endsWith(wanted)) rest = rest.slice(0, -wanted.length);
    rest = rest.replace(/\s+/g, "").replace(/^\+/, "");
    const found = rest.startsWith("-") ? fraction(rest.slice(1)).map((number) => -number) : fraction(rest);
    const finite = found.filter(Number.isFinite);
    if (inPercent) return finite.map((number) => number / 100);
    return wanted === "%" ? finite.flatMap((number) => [number / 100, number]) : finite;
  }

  // The number that an author's text begins with: a comma parts thousands there, and where the answer is in per cent
  // all its numbers are.
  function written(text, allInPercent = false) {
    const found = text.trim().match(/^([-−]?)(\d[\d,]*)(\.\d+)?(e[-−]?\d+)?/);
    if (!found) return null;
    const rest = text.trim().slice(found[0].length).trim();
    const value = Number(found[0].replace("−", "-").replaceAll(",", "").replace("−", "-"));
    const digit = 10 ** -((found[3]?.length ?? 1) - 1) * 10 ** Number((found[4] ?? "e0").slice(1).replace("−", "-"));
    const scale = allInPercent || rest.startsWith("%") ? 100 : 1;
    return { value: value / scale, unit: rest, lastDigit: digit / scale };
  }

  // Least and greatest number accepted: "± 0.01", "± 5 %", "300 to 3,000", or nothing.
  function accepted(right, bracket) {
    const percent = right.unit.startsWith("%");
    const within = (text) => written(text, percent).value;
    if (bracket.startsWith("±")) {
      const by = written(bracket.slice(1));
      const relative = !percent && by.unit.startsWith("%");
      const margin = relative ? by.value * Math.abs(right.value) : within(bracket.slice(1));
      return { low: right.value - margin, high: right.value + margin, margin };
    }
    if (bracket.includes(" to ")) {
      const [low, high] = bracket.split(" to ").map(within);
      return { low, high, margin: 0 };
    }
    return { low: right.value, high: right.value, margin: 0 };
  }

  const atMost = (a, b) => a <= b + 1e-9 * Math.max(Math.abs(a), Math.abs(b));

  // --- the answers stay in this browser --------------------------------------------------------------------------

  const page = location.pathname.split("/").slice(-2).join("/").replace(/\.html$/, "");
  const key = (place) => `minitx question ${page} ${place.id}`;

  // A browser may refuse to keep anything, or to say what it kept: then nothing is kept.
  function kept(place) {
    try { return localStorage.getItem(key(place)); } catch { return null; }
  }
  function keep(place, given) {
    try {
      if (given === null) localStorage.removeItem(key(place));
      else localStorage.setItem(key(place), given);
    } catch { /* not kept */ }
  }

  // --- two kinds of question -------------------------------------------------------------------------------------
  // Each gives: field (what the reader sets), given() (what is set, or ""), set(given), which(given): "right", a list
  // item that names the mistake, null for any other wrong answer, or undefined for what is no answer at all.

  function choice(place, list, right, names) {
    const items = [...list.children];
    const first = list.start;
    const best = items[Number(right) - first];
    const words = best && !best.querySelector(".math") ? `: ${best.textContent.trim().replace(/\.$/, "")}` : "";
    const radios = items.map((item, i) => {
      const radio = element("input", { type: "radio", name: `${place.id}-choice`, value: first + i });
      const label = element("label", { class: "question-choice" }, radio);
      const text = element("span");
      const only = item.children.length === 1 && item.firstElementChild.matches("p") ? item.firstElementChild : item;
      text.append(...only.childNodes);
      label.append(text);
      item.replaceChildren(label);
      return radio;
    });
    list.classList.add("question-choices");
    return {
      field: list,
      first: radios[0],
      missing: "Choose one of the answers first.",
      solution: `The answer is ${right}${words}.`,
      given: () => radios.find((radio) => radio.checked)?.value ?? "",
      set(given) { radios.forEach((radio) => { radio.checked = radio.value === given; }); },
      which(given) {
        if (!radios.some((radio) => radio.value === given)) return undefined;
        return given === right ? "right" : names.find(([text]) => text === given)?.[1] ?? null;
      },
      mark(given) {
        items.forEach((item, i) => {
          item.querySelector(".question-mark")?.remove();
          const value = String(first + i);
          const word = given === null ? null : value === right ? "✓ right" : value === given ? "✗ your answer" : null;
          if (word) item.append(element("span", { class: "question-mark" }, word));
        });
      },
    };
  }

  function quantity(place, right, bracket, names) {
    const number = written(right);
    const range = accepted(number, bracket);
    const input = element("input", {
      type: "text", class: "question-number", autocomplete: "off", autocapitalize: "off", spellcheck: "false", size: "10",
    });
    const unit = number.unit ? element("span", { class: "question-unit" }, number.unit) : "";
    const label = element("label", { class: "question-field" }, element("span", {}, "Your number"), input, unit);
    return {
      field: label,
      first: input,
      missing: "Write a number first: 0.5, 1/2 and 50 % are the same.",
      solution: `The answer is ${right}.`,
      given: () => input.value.trim(),
      set(given) { input.value = given ?? ""; },
      which(given) {
        const found = readings(given, number.unit);
        if (found.length === 0) return undefined;
        if (found.some((x) => atMost(range.low, x) && atMost(x, range.high))) return "right";
        // A named number is meant within the tolerance, or where it would be rounded to what is written.
        const meant = ({ value, lastDigit }) => found.some((x) =>
          atMost(Math.abs(x - value), Math.max(range.margin, Math.min(lastDigit / 2, Math.abs(value) / 20))));
        return names.find(([text]) => meant(written(text, number.unit.startsWith("%"))))?.[1] ?? null;
      },
      mark() {},
    };
  }

  // --- one question ----------------------------------------------------------------------------------------------

  function ask(place) {
    const prompt = place.querySelector(":scope > p");
    const list = place.querySelector(":scope > ol");
    const fold = place.querySelector(":scope > details");
    const explanation = fold?.querySelector(":scope > p");
    const bold = explanation?.querySelector(":scope > strong");
    if (!prompt || !bold || explanation.firstElementChild !== bold) return;
    const right = bold.textContent.trim().replace(/\.$/, "");
    const bracket = bold.nextSibling?.textContent.match(/^\s*\(([^)]*)\)/)?.[1] ?? "";
    if (!list && !written(right)) return;

    const wrongs = fold.querySelector(":scope > ul");
    const items = [...(wrongs?.children ?? [])];
    const names = items.map((item) => [item.textContent.trim().split(":")[0], item])
      .filter(([text]) => (list ? /^\d+$/.test(text) : written(text)));

    const summary = fold.querySelector(":scope > summary");
    const legend = element("legend");
    legend.append(...prompt.childNodes);
    const between = [];
    for (let next = prompt.nextSibling; next && next !== list && next !== fold; next = next.nextSibling) between.push(next);
    const kind = list ? choice(place, list, right, names) : quantity(place, right, bracket, names);
    const submit = element("button", { type: "submit", class: "playable-button" }, "Answer");
    const again = button("Start again", startAgain);
    const verdict = element("div", { class: "question-verdict", role: "status" });
    const form = element("form", { novalidate: "" },
      element("fieldset", {}, legend, ...between, kind.field),
      element("div", { class: "question-buttons" }, submit, again), verdict);
    prompt.replaceWith(form);

    function show(given) {
      const which = kind.which(given);
      wrongs?.append(...items);      // whatever was named before is back in its place
      if (which === undefined) {
        verdict.replaceChildren(element("p", {}, kind.missing));
        return false;
      }
      place.dataset.answered = which === "right" ? "right" : "wrong";
      verdict.replaceChildren(element("p", {}, which === "right" ? "Right."
        : which === null ? `No. ${kind.solution}` : "No."));
      if (which instanceof Element) verdict.append(element("ul", {}, which));
      kind.mark(given);
      summary.textContent = "The answer";
      fold.open = true;
      again.hidden = false;
      return true;
    }

    function forget() {
      wrongs?.append(...items);
      verdict.replaceChildren();
      kind.set(null);
      kind.mark(null);
      delete place.dataset.answered;
      summary.textContent = "Show the answer";
      fold.open = false;
      again.hidden = true;
    }

    function startAgain() {
      keep(place, null);
      forget();
      kind.first.focus();
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const given = kind.given();
      if (show(given)) keep(place, given);
      else kind.first.focus();
    });

    forget();
    place.classList.add("question-ready");
    const before = kept(place);
    if (before !== null && kind.which(before) !== undefined) {
      kind.set(before);
      show(before);
    }
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("div.question[id]").forEach(ask));
})();
