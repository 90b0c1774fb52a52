// All heads of the translator at a glance: choose one to see its weights, switch any off, and read what becomes of
// the translation.
//   data-text="524"   what stands in the field at the beginning
"use strict";

panel.define("heads", "The heads of the translator", (place, model) => {
  const { element, show, speaker, button } = playable;
  const { kinds, placeOf, shown, axes, watched, newId, numberField, rove, settled, heatMap } = parts;
  const { BOS, WHOLE, row, softmax } = transformer;
  const { num_heads: H, num_encoder_layers, num_decoder_layers } = model.config;
  const LAYERS = { encoder: num_encoder_layers, decoder: num_decoder_layers, cross: num_decoder_layers };
  const NAMES = {
    encoder: "the encoder's self-attention", decoder: "the decoder's self-attention", cross: "the cross-attention",
  };
  const gridName = newId("heads");
  const COUNT = Object.values(LAYERS).reduce((sum, layers) => sum + layers, 0) * H;

  // One for every attention: { kind, layer, at }. A head is { ...attention, h }, with h counted from 0.
  const attentions = Object.keys(kinds).flatMap((kind) =>
    [...Array(LAYERS[kind]).keys()].map((i) => ({ kind, layer: i + 1, at: placeOf(kind, i + 1) })));
  const named = ({ kind, layer, h }) => `head ${h + 1} of ${NAMES[kind]}, layer ${layer}`;

  let tokens = [];
  let whole = null; // the translation with every head on
  let ran = null; // the one with the heads that are on, and all that was watched on the way
  let alone = {}; // by attention and head: what is left of the translation when that head alone is off
  let off = new Set(); // of heads, as "attention head"
  let chosen = { ...attentions.at(-1), h: 0 };
  const key = ({ at, h }) => `${at} ${h}`;

  const rulesWithout = (heads) => {
    const removed = {};
    for (const { at, h } of heads) (removed[at] ??= []).push(h);
    return { ...WHOLE, removed };
  };
  const everyHead = attentions.flatMap((attention) => [...Array(H).keys()].map((h) => ({ ...attention, h })));
  const headsOff = () => everyHead.filter((head) => off.has(key(head)));

  // What these rules leave of the whole model's words: their mean probability, each after the words before it, and
  // whether all of them are still the most probable ones.
  function kept(rules) {
    const logits = model.decode([BOS, ...whole.tgt.slice(0, -1)], model.encode(whole.src, { rules }), { rules });
    const shares = whole.tgt.map((_, i) => softmax(row(logits, i)));
    return {
      probability: whole.tgt.reduce((sum, id, i) => sum + shares[i][id], 0) / whole.tgt.length,
      same: whole.tgt.every((id, i) => shares[i][id] === Math.max(...shares[i])),
    };
  }

  function begin(typed) {
    tokens = typed;
    whole = watched(model, tokens, WHOLE);
    whole.probability = kept(WHOLE).probability;
    alone = Object.fromEntries(everyHead.map((head) => [key(head), kept(rulesWithout([head]))]));
    first.textContent = eachAlone();
    run();
    spoken.say(`${tokens.join("")} is ${whole.written}. ${first.textContent}`);
  }

  function run() {
    ran = watched(model, tokens, rulesWithout(headsOff()));
    draw();
  }

  // --- what is shown -------------------------------------------------------------------------------------

  const answer = element("p", { class: "panel-answer" });
  const first = element("p", { class: "playable-help" });
  const how = element("div", { class: "panel-how", role: "status" });
  const grid = element("div", {});
  const map = element("div", {});
  const said = element("p", { class: "playable-help" });
  const spoken = speaker();
  const words = (side) => ran[side].map((id) => shown(model.vocabularies[side][id]));
  const percent = (share) => `${show(100 * share, 0)} %`;
  const list = (texts) => (texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`);

  // What each head's absence does by itself.
  function eachAlone() {
    const heads = everyHead.filter((head) => !alone[key(head)].same);
    const which = heads.length === 1 ? "only one changes this translation when it is switched off alone: "
      : `${heads.length} change this translation when each is switched off alone: `;
    return `Of the ${COUNT} heads, ${heads.length ? `${which}${list(heads.map(named))}`
      : "none changes this translation when it is switched off alone"}.`;
  }

  // What the heads that are off have changed together.
  function tellChange() {
    const heads = headsOff();
    if (!heads.length) return how.replaceChildren();
    const who = heads.length === 1 ? `Without ${named(heads[0])},` : `With ${heads.length} of ${COUNT} heads off,`;
    const { probability } = kept(rulesWithout(heads));
    return how.replaceChildren(
      element("p", { class: "panel-how-title" }, ran.written === whole.written ? `${who} the words stay the same.`
        : `${who} “${whole.written}” becomes “${ran.written}”.`),
      element("p", {}, `The words of “${whole.written}” have a probability of ${percent(probability)} on average, `
        + `with all heads ${percent(whole.probability)}.`));
  }

  // A head's weights as a small picture: a square for each pair, the darker the more it weighs.
  function thumbnail(weights) {
    const squares = [];
    for (let i = 0; i < weights.rows; i++) {
      for (let j = 0; j < weights.cols; j++) {
        const weight = row(weights, i)[j];
        if (weight > 0.02) squares.push(element("path", { d: `M${j} ${i}h1v1h-1z`, "fill-opacity": show(weight, 2) }));
      }
    }
    return element("svg", { class: "panel-thumbnail", viewBox: `0 0 ${weights.cols} ${weights.rows}`,
      preserveAspectRatio: "none", "aria-hidden": "true" }, ...squares);
  }

  function cell(head) {
    const isChosen = key(head) === key(chosen);
    const picture = element("button", { type: "button", class: "panel-head-picture", "aria-pressed": isChosen,
      "aria-label": `Show ${named(head)}` }, thumbnail(ran.seen[head.at].heads[head.h].weights));
    picture.addEventListener("click", () => {
      chosen = head;
      grid.querySelector("[aria-pressed=true]").setAttribute("aria-pressed", false);
      picture.setAttribute("aria-pressed", true);
      drawMap();
      map.scrollIntoView({ block: "nearest" });
    });
    const box = element("input", { type: "checkbox", "aria-label": `${named(head)} is on` });
    box.checked = !off.has(key(head));
    box.addEventListener("change", () => {
      off[box.checked ? "delete" : "add"](key(head));
      const place = boxes.flat().indexOf(box);
      run();
      boxes.flat()[place].focus();
    });
    const { probability, same } = alone[key(head)];
    const left = element("span", { class: same ? null : "panel-worse" }, `${same ? "" : "≠"}${percent(probability)}`);
    const made = element("td", { class: box.checked ? null : "panel-head-off" }, picture,
      element("label", {}, box, left));
    return { picture, box, made };
  }

  let boxes = [];

  function draw() {
    answer.replaceChildren(tokens.join(""), " → ", element("strong", { lang: "fr" }, ran.written),
      ran.written === whole.written ? "" : ` (with all heads: ${whole.written})`);
    tellChange();

    const cells = attentions.map((attention) => [...Array(H).keys()].map((h) => cell({ ...attention, h })));
    boxes = cells.map((line) => line.map(({ box }) => box));
    rove(cells.map((line) => line.map(({ picture }) => picture)));
    rove(boxes);
    const head = ["attention", ...[...Array(H).keys()].map((h) => `head ${h + 1}`)];
    grid.replaceChildren(element("p", { class: "panel-caption", id: gridName },
      "The weights of every head; “cross 2”, say, is the cross-attention in layer 2. Press a picture to see it "
      + "large; take its tick away to switch the head off. "
      + "Beside it: the words' mean probability without this head alone; with all it is "
      + `${percent(whole.probability)}, and training asked for 90 %. ≠ says that other words win.`),
    element("div", { class: "panel-scroll" },
      element("table", { class: "panel-table panel-heads", "aria-labelledby": gridName },
        element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
        element("tbody", {}, ...attentions.map(({ kind, layer }, i) => element("tr", {},
          element("th", { scope: "row" }, `${kind} ${layer}`), ...cells[i].map(({ made }) => made)))))));
    settled();
    drawMap();
  }

  function drawMap() {
    const { seen } = ran;
    const { heads, allowed } = seen[chosen.at];
    const { weights } = heads[chosen.h];
    const { queries, keys, rows } = axes(chosen.kind, words("src"), words("tgt"));
    const isOff = off.has(key(chosen));
    const name = named(chosen);
    const heat = heatMap({
      caption: `${name[0].toUpperCase()}${name.slice(1)}: each query (row) shares 1 among the keys (columns)`
        + (chosen.kind === "encoder" ? "" : "; a row reads one word and writes the next")
        + (isOff ? ". It is off: it looks as before, but W_O gets 0 in place of what it read" : ""),
      corner: "query", rows, columns: keys, allowed,
      weight: (i, j) => row(weights, i)[j],
      press: (i, j) => {
        heat.chosen(i);
        said.textContent = `${name[0].toUpperCase()}${name.slice(1)}: “${queries[i]}” gives “${keys[j]}” `
          + `${show(100 * row(weights, i)[j], 0)} % of its attention.`;
        spoken.say(said.textContent);
      },
    });
    map.replaceChildren(heat);
    said.textContent = "Press a number, or move among them with the arrow keys and press Enter.";
  }

  // --- switches for several heads ------------------------------------------------------------------------

  const allOn = button("All heads on", () => {
    off = new Set();
    run();
  });
  const onlyThis = button("Only the head shown, in its attention", () => {
    for (const head of everyHead) if (head.at === chosen.at) off[head.h === chosen.h ? "delete" : "add"](key(head));
    run();
  });
  const noneHere = button("No head in this attention", () => {
    for (const head of everyHead) if (head.at === chosen.at) off.add(key(head));
    run();
  });

  const field = numberField(place.dataset.text, begin);
  field.read();
  return [
    ...field.parts, answer, first,
    element("div", { class: "panel-controls" }, allOn, onlyThis, noneHere),
    grid, map, said, how, spoken,
  ];
});
