// Positions on or off, and words that can be moved: what the order of the words is to the translator.
//   data-text="1203"   what stands in the field at the beginning
"use strict";

panel.define("positions", "What the order of the words is to the translator", (place, model) => {
  const { element, show, speaker, button } = playable;
  const { kinds, placeOf, shown, axes, watched, choice, counted, tick, newId, numberField, heatMap } = parts;
  const { WHOLE, row, dot } = transformer;
  const { num_heads: H, num_encoder_layers: layers } = model.config;
  const helpId = newId("help");
  const SAME = 1e-4; // of a vector's length: what sums in another order may differ by

  let tokens = []; // as they were typed
  let order = []; // which of them stands where now
  let picked = 0; // the token that is moved
  let typed = null; // the translation of the words as they were typed
  let moved = null; // and of the words as they stand now; both under the same rules

  // --- what is computed ----------------------------------------------------------------------------------

  const isMoved = () => order.some((token, i) => token !== i);
  const rules = () => ({ ...WHOLE, positions: { src: src.box.checked, tgt: tgt.box.checked } });

  function translate(words, its) {
    const ran = watched(model, words, its);
    return { ...ran, memory: model.encode(ran.src, { rules: its }) };
  }

  const length = (x) => Math.sqrt(dot(x, x));

  // How far the encoder's vector of each token, and at last of ⟨end⟩, has changed: |after - before| / |before|.
  function changes() {
    return [...order, order.length].map((token, i) => {
      const [before, after] = [row(typed.memory, token), row(moved.memory, i)];
      return length(after.map((number, f) => number - before[f])) / length(before);
    });
  }

  // --- what is shown -------------------------------------------------------------------------------------

  const src = tick("in the encoder, which reads the English words", "src", () => run());
  const tgt = tick("in the decoder, which writes the French words", "tgt", () => run());
  src.box.checked = true;
  tgt.box.checked = true;
  const kind = choice("attention", kinds, "encoder", () => drawMaps());
  const layer = choice("layer", counted(layers), 1, () => drawMaps());
  const head = choice("head", counted(H), 1, () => drawMaps());
  const chips = element("ol", { class: "panel-chips", "aria-label": "The words in their present order" });
  const answers = element("div", {});
  const verdict = element("div", { class: "panel-verdict", role: "status" });
  const maps = element("div", { class: "panel-columns" });
  const told = element("p", { class: "playable-help" });
  const spoken = speaker();

  const words = (ran, side) => ran[side].map((id) => shown(model.vocabularies[side][id]));

  function run() {
    const its = rules();
    typed = translate(tokens, its);
    moved = isMoved() ? translate(order.map((token) => tokens[token]), its) : typed;
    const answer = (label, ran) => element("p", { class: "panel-answer" }, `${label}: `,
      words(ran, "src").slice(0, -1).join(" "), " → ", element("strong", { lang: "fr" }, ran.written));
    answers.replaceChildren(answer("As typed", typed), ...(isMoved() ? [answer("Now", moved)] : []));
    verdict.replaceChildren(...sentences(its).map((text) => element("p", {}, text)));
    drawMaps();
  }

  function sentences({ positions }) {
    const whole = watched(model, tokens, WHOLE).written;
    const lost = typed.written === whole ? ""
      : ` With positions on both sides, the words as typed gave “${whole}”.`;
    if (!isMoved()) {
      const off = positions.src ? "in the decoder" : positions.tgt ? "in the encoder" : "on both sides";
      const state = positions.src && positions.tgt ? "Positions are on." : `Positions are off ${off}.`;
      return [`${state} No word has been moved.${lost}`];
    }
    const far = changes();
    const farthest = Math.max(...far);
    const percent = (share) => `${show(100 * share, 0)} %`;
    const isBag = farthest < SAME;
    const vectors = isBag
      ? "The encoder's vectors are the same, in another order: each word has taken its vector along. So are its "
        + "weights, row by row and column by column."
      : `The encoder's vectors are others now: they have changed by ${percent(Math.min(...far))} to `
        + `${percent(farthest)} of their length, that of “${words(moved, "src")[far.indexOf(farthest)]}” most.`;
    const why = isBag ? ": the decoder sees only these vectors, and has not noticed anything" : "";
    const french = typed.written === moved.written ? `The translation stays the same${why}.`
      : `“${typed.written}” has become “${moved.written}”.`;
    return [vectors, `${french}${lost}`];
  }

  function drawMaps() {
    const at = placeOf(kind.made.value, layer.made.value);
    const after = ["After: the words as they stand now", moved];
    const drawn = [["Before: the words as typed", typed], ...(isMoved() ? [after] : [])];
    maps.replaceChildren(...drawn.map(([caption, ran]) => {
      const { heads, allowed } = ran.seen[at];
      const { weights } = heads[head.made.value - 1];
      const { queries, keys, rows } = axes(kind.made.value, words(ran, "src"), words(ran, "tgt"));
      const heat = heatMap({
        caption: `${caption}. Each query (row) shares 1 among the keys (columns)`, corner: "query", rows, columns: keys,
        allowed, weight: (i, j) => row(weights, i)[j],
        press: (i, j) => {
          heat.chosen(i);
          tell(ran, i, j, `“${queries[i]}” gives “${keys[j]}” ${show(row(weights, i)[j], 2)} of its attention`);
        },
      });
      return heat;
    }));
    told.textContent = "Press a number, or move among them with the arrow keys and press Enter.";
  }

  // The weight of a pair; in the encoder, where the words are known, also what it was before the move, or is after it.
  function tell(ran, i, j, sentence) {
    let other = "";
    if (isMoved() && kind.made.value === "encoder") {
      const isBefore = ran === typed;
      const places = [...order, order.length]; // ⟨end⟩ stays
      const there = (at) => (isBefore ? places.indexOf(at) : places[at]);
      const { heads } = (isBefore ? moved : typed).seen[placeOf("encoder", layer.made.value)];
      const weight = row(heads[head.made.value - 1].weights, there(i))[there(j)];
      other = `; ${isBefore ? "after" : "before"} the move ${show(weight, 2)}`;
    }
    told.textContent = `${sentence}${other}.`;
    spoken.say(told.textContent);
  }

  // --- moving --------------------------------------------------------------------------------------------

  function pick(token) {
    picked = token;
    for (const each of chips.querySelectorAll("button")) {
      each.setAttribute("aria-pressed", Number(each.value) === picked);
    }
    left.disabled = order.indexOf(picked) === 0;
    right.disabled = order.indexOf(picked) === order.length - 1;
  }

  // The picked token to another place; the chips around it make room, and it keeps the focus and the pointer.
  function moveTo(target) {
    const from = order.indexOf(picked);
    if (target === from || target < 0 || target >= order.length) return;
    order.splice(target, 0, ...order.splice(from, 1));
    const chip = chips.querySelector(`[value="${picked}"]`).parentElement;
    const others = [...chips.children].filter((each) => each !== chip);
    for (const each of others.slice(0, target)) chips.insertBefore(each, chip);
    for (const each of others.slice(target)) chips.append(each);
    pick(picked);
    run();
    spoken.say(`${shown(tokens[picked])} is now word ${target + 1} of ${order.length}. ${verdict.textContent}`);
  }

  function chip(token) {
    const made = element("button", { type: "button", class: "panel-chip", value: token, "aria-pressed": false,
      "aria-describedby": helpId }, shown(tokens[token]));
    made.addEventListener("click", () => pick(token));
    made.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      pick(token);
      moveTo(order.indexOf(token) + step);
    });
    made.addEventListener("pointerdown", (event) => drag(event, token));
    return element("li", {}, made);
  }

  // Once the pointer is past the middle of another word, the dragged one takes its place.
  function drag({ button: pressed, pointerId }, token) {
    if (pressed) return;
    pick(token);
    const move = (event) => {
      if (event.pointerId !== pointerId) return;
      const over = document.elementFromPoint(event.clientX, event.clientY)?.closest(".panel-chip");
      if (!over || !chips.contains(over)) return;
      const [from, target] = [token, Number(over.value)].map((each) => order.indexOf(each));
      const { left: edge, width } = over.getBoundingClientRect();
      const isPast = event.clientX > edge + width / 2;
      if (target > from ? isPast : !isPast) moveTo(target); // else a wide word would jump to and fro
    };
    const stop = (event) => {
      if (event.pointerId !== pointerId) return;
      window.removeEventListener("pointermove", move);
      for (const end of ["pointerup", "pointercancel"]) window.removeEventListener(end, stop);
    };
    window.addEventListener("pointermove", move);
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, stop);
  }

  const left = button("◀ to the left", () => moveTo(order.indexOf(picked) - 1));
  const right = button("to the right ▶", () => moveTo(order.indexOf(picked) + 1));
  const back = button("Back to the order typed", () => {
    order = tokens.map((_, i) => i);
    deal();
  });
  const turned = button("Reverse all", () => {
    order = tokens.map((_, i) => tokens.length - 1 - i);
    deal();
  });

  function deal() {
    chips.replaceChildren(...order.map(chip));
    pick(picked);
    run();
    spoken.say(verdict.textContent);
  }

  const field = numberField(place.dataset.text, (read) => {
    tokens = read;
    order = tokens.map((_, i) => i);
    picked = 0;
    deal();
    spoken.say(`${tokens.join("")} is ${typed.written}.`);
  });
  const help = element("p", { class: "playable-help", id: helpId },
    "Move a word: drag it, press ← or → while it has the focus, or choose it and use the buttons. The model then "
    + "reads the very same words, each at its new position.");
  field.read();
  return [
    ...field.parts,
    element("fieldset", { class: "panel-breaks" }, element("legend", {}, "Positions"), src.label, tgt.label),
    help, chips, element("div", { class: "panel-controls" }, left, right, turned, back),
    answers, verdict,
    element("div", { class: "panel-controls" }, kind.label, layer.label, head.label), maps, told, spoken,
  ];
});
