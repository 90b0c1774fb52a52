// What the panels have in common: a field for a number or a text, and tables of numbers that can be asked how they came
// about.
"use strict";

globalThis.parts = (() => {
  const { element, show, button } = playable;

  // A token as it is shown: without the blank before it; the special ones by name.
  const NAMES = { "<bos>": "⟨start⟩", "<eos>": "⟨end⟩", "<pad>": "⟨padding⟩", "<unk>": "⟨unknown⟩" };
  const shown = (token) => NAMES[token] ?? token.trim();

  // The three kinds of attention, and where they are in the model; layers are counted from 1.
  const KINDS = {
    encoder: { label: "encoder self-attention", stack: "encoder", name: "attention" },
    decoder: { label: "decoder self-attention (masked)", stack: "decoder", name: "self_attention" },
    cross: { label: "cross-attention (decoder to encoder)", stack: "decoder", name: "cross_attention" },
  };
  const placeOf = (kind, layer) => `${KINDS[kind].stack}.blocks.${layer - 1}.${KINDS[kind].name}`;
  const kinds = Object.fromEntries(Object.entries(KINDS).map(([kind, { label }]) => [kind, label]));

  // The words that stand for a kind's queries and keys, from those read and those written, and what to call a row
  // of its table: in the decoder, a query reads one word and writes the next.
  function axes(kind, src, wrote) {
    if (kind === "encoder") return { queries: src, keys: src, rows: src, writes: null };
    const inputs = ["⟨start⟩", ...wrote.slice(0, -1)];
    const rows = inputs.map((token, i) => `${token} → ${wrote[i]}`);
    return { queries: inputs, keys: kind === "decoder" ? inputs : src, rows, writes: wrote };
  }

  const LIMIT = 16; // words; the longest number has 11, and a model that lacks a part may never end

  // The translation by a model that may lack a part, and in `seen` all that was watched on the way.
  function watched(model, tokens, rules) {
    const seen = {};
    const watch = (place, values) => { seen[place] = values; };
    const result = model.translate(tokens, { rules, watch, limit: LIMIT });
    const goesOn = result.tgt.at(-1) !== transformer.EOS;
    return { ...result, seen, written: `${result.written.trim() || "nothing"}${goesOn ? " … (and so on)" : ""}` };
  }

  // --- what the reader chooses ---------------------------------------------------------------------------

  function choice(label, options, start, act) {
    const made = element("select", {},
      ...Object.entries(options).map(([value, text]) => element("option", { value }, text)));
    made.value = start;
    made.addEventListener("change", act);
    return { made, label: element("label", {}, element("span", {}, label), made) };
  }

  const counted = (size) => Object.fromEntries([...Array(size).keys()].map((i) => [i + 1, i + 1]));

  function tick(label, value, act) {
    const box = element("input", { type: "checkbox", value });
    box.addEventListener("change", act);
    return { box, label: element("label", {}, box, element("span", {}, label)) };
  }

  let ids = 0;
  const newId = (what) => `panel-${what}-${(ids += 1)}`;

  // A number on a line from min to max, written beside it; value() reads it.
  function slider(label, { min, max, step, start }, act) {
    const made = element("input", { type: "range", min, max, step, value: start });
    const digits = String(step).split(".")[1]?.length ?? 0;
    const told = element("output", {}, show(start, digits));
    made.addEventListener("input", () => {
      told.textContent = show(Number(made.value), digits);
      act();
    });
    return { made, value: () => Number(made.value), label: element("label", {}, element("span", {}, label), made, told) };
  }

  // A field in which something is typed, and a line for what was not understood: understand(typed) throws what is meant
  // for the reader. use(what was understood) gets the rest.
  function textField(label, start, understand, use, verb) {
    const id = newId("field");
    const field = element("input", { type: "text", id, value: start, autocomplete: "off", spellcheck: "false",
      autocapitalize: "off", "aria-describedby": `${id}-error` });
    const error = element("p", { class: "panel-error", id: `${id}-error`, role: "alert" });
    const form = element("form", { class: "panel-form" },
      element("label", { for: id }, label),
      element("span", { class: "panel-field" }, field, element("button", { class: "playable-button" }, verb)));
    function read() {
      let understood = null;
      try {
        understood = understand(field.value);
        error.textContent = "";
        field.removeAttribute("aria-invalid");
      } catch (problem) {
        error.textContent = problem.message;
        field.setAttribute("aria-invalid", "true");
      }
      if (understood) use(understood);
    }
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      read();
    });
    return { parts: [form, error], read };
  }

  const numberField = (start, use, verb = "Translate") =>
    textField("A number, in English words or in digits", start, reading.numbers, use, verb);

  // --- tables --------------------------------------------------------------------------------------------

  // A number that can be pressed. All its digits are kept for whoever checks it.
  function numberButton(number, digits, label, act) {
    const made = button(show(number, digits), () => {
      document.querySelector(".panel-asked")?.classList.remove("panel-asked");
      made.classList.add("panel-asked");
      act();
      made.scrollIntoView({ block: "nearest" }); // not below what is told at the window's edge
    });
    made.classList.add("panel-number");
    made.setAttribute("aria-label", `${label}: ${show(number, digits)}`);
    made.dataset.value = number;
    return made;
  }

  // One tab stop for a whole table of buttons; the arrow keys move inside it.
  function rove(rows) {
    let current = rows[0][0];
    const all = rows.flat();
    const enter = (cell) => {
      current.tabIndex = -1;
      current = cell;
      cell.tabIndex = 0;
    };
    all.forEach((cell) => { cell.tabIndex = -1; });
    enter(current);
    rows.forEach((row, i) => row.forEach((cell, j) => {
      cell.addEventListener("focus", () => enter(cell));
      cell.addEventListener("keydown", (event) => {
        const next = {
          ArrowRight: row[j + 1], ArrowLeft: row[j - 1], Home: row[0], End: row.at(-1),
          ArrowDown: rows[i + 1]?.[Math.min(j, rows[i + 1].length - 1)],
          ArrowUp: rows[i - 1]?.[Math.min(j, rows[i - 1].length - 1)],
        };
        if (!(event.key in next)) return;
        event.preventDefault();
        next[event.key]?.focus();
      });
    }));
  }

  // The page looks anew at what is too wide, as after a change of its width.
  let settling = 0;
  function settled() {
    cancelAnimationFrame(settling);
    settling = requestAnimationFrame(() => window.dispatchEvent(new Event("resize")));
  }

  // caption, headings, and rows of { label, kind, cells: buttons or texts }.
  function numberTable(caption, headings, rows, kind = "") {
    const buttons = rows.map((row) => row.cells.filter((cell) => cell instanceof HTMLButtonElement));
    if (buttons.flat().length) rove(buttons);
    const head = headings.map((text) => element("th", { scope: "col" }, text));
    settled();
    const body = rows.map((row) => element("tr", { class: row.kind ?? null },
      element("th", { scope: "row" }, row.label), ...row.cells.map((cell) => element("td", {}, cell))));
    // Not a <caption>, which would be as wide as its table and scroll away with it.
    const id = newId("table");
    return element("div", { class: "panel-tabled" }, element("p", { class: "panel-caption", id }, caption),
      element("div", { class: "panel-scroll" },
        element("table", { class: `panel-table ${kind}`, "aria-labelledby": id },
          element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body))));
  }

  // Weights as a table whose cells are the darker the more they weigh; what may not meet is hatched.
  // press(i, j) is called for the cell that is pressed, and the row of it is marked by chosen(i).
  function heatMap({ caption, corner, rows, columns, weight, allowed = () => true, press }) {
    const cells = rows.map((query, i) => columns.map((key, j) => {
      const label = allowed(i, j) ? `${query}, ${key}` : `${query}, ${key}, forbidden`;
      const cell = numberButton(weight(i, j), 2, label, () => press(i, j));
      cell.style.setProperty("--weight", `${Math.round(100 * weight(i, j))}%`);
      cell.classList.add(allowed(i, j) ? "panel-heat" : "panel-forbidden");
      if (!allowed(i, j)) cell.textContent = "";
      return cell;
    }));
    const made = numberTable(caption, [corner, ...columns],
      rows.map((label, i) => ({ label, cells: cells[i] })), "panel-map");
    made.chosen = (row) => cells.forEach((line, i) =>
      line[0].closest("tr").classList.toggle("panel-chosen", i === row));
    return made;
  }

  return { LIMIT, kinds, placeOf, shown, axes, watched, choice, counted, slider, tick, newId, textField, numberField,
    numberButton, rove, settled, numberTable, heatMap };
})();
