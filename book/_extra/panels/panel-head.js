// One head of the translator, from the tokens to the next word; every number tells how it was computed.
//   data-text="two hundred and one"   data-kind="encoder | decoder | cross"   data-layer="1"   data-head="1"
//   data-query="1"   the row that is looked at first; all are counted from 1
"use strict";

panel.define("head", "One head of the translator", (place, model) => {
  const { element, show, speaker, button } = playable;
  const { kinds, placeOf, shown, axes, choice, counted, tick, numberField, numberButton, numberTable, heatMap } = parts;
  const { row, dot, softmax, WHOLE, BROKEN } = transformer;
  const { num_heads: H, d_model: C, num_encoder_layers: layers } = model.config;
  const D = C / H;
  const FEW = 4; // features shown until all are asked for
  const TOP = 5; // next words shown
  const BREAKS = {
    scale: `no scale: scores are not divided by √${D}`,
    mask: "no mask: the decoder's words see later words too",
    positions: "no positions: nothing tells the order of the words (try 1203 and 1302)",
  };

  // --- what the reader chooses ---------------------------------------------------------------------------

  const kind = choice("attention", kinds, place.dataset.kind, () => draw());
  const layer = choice("layer", counted(layers), place.dataset.layer, () => draw());
  const head = choice("head", counted(H), place.dataset.head, () => draw());
  const switches = Object.entries(BREAKS).map(([name, label]) => tick(label, name, () => run()));

  // --- what is shown -------------------------------------------------------------------------------------

  const answer = element("p", { class: "panel-answer" });
  const read = element("p", { class: "playable-help" });
  const map = element("div", {});
  const stepsPlace = element("div", {});
  const details = element("div", { class: "panel-columns" });
  const how = element("div", { class: "panel-how", role: "status" });
  const spoken = speaker();
  let tokens = [];
  let ran = null; // the result of the translation, and all that was watched on the way
  let query = place.dataset.query - 1;
  let all = false; // all features, or the first few

  function run() {
    const rules = { ...WHOLE };
    for (const { box } of switches) if (box.checked) rules[box.value] = BROKEN[box.value];
    const seen = {};
    const watch = (name, values) => { seen[name] = values; };
    ran = { ...model.translate(tokens, { rules, watch }), seen, rules };
    const broken = switches.some(({ box }) => box.checked);
    const whole = broken ? model.translate(tokens).written : ran.written;
    const verdict = !broken ? "" : whole === ran.written ? " (the same as unbroken)" : ` (unbroken: ${whole})`;
    answer.replaceChildren(tokens.join(""), " → ", element("strong", { lang: "fr" }, ran.written || "nothing"),
      verdict);
    read.textContent = `Tokens read: ${words("src").join(" · ")}. Tokens written: ${words("tgt").join(" · ")}.`;
    spoken.say(`${tokens.join("")} is ${ran.written || "nothing"}${verdict}.`);
    draw();
  }

  const words = (side) => ran[side].map((id) => shown(model.vocabularies[side][id]));

  // The chosen head: its numbers, and the words that stand for queries and keys.
  function chosen() {
    const at = placeOf(kind.made.value, layer.made.value);
    const seen = ran.seen[at];
    return {
      ...seen.heads[head.made.value - 1], seen, place: at, first: (head.made.value - 1) * D,
      ...axes(kind.made.value, words("src"), words("tgt")), isMasked: kind.made.value === "decoder",
    };
  }

  function draw() {
    const now = chosen();
    query = Math.min(query, now.queries.length - 1);
    const heat = heatMap({
      caption: "Weights: each query (row) shares 1 among the keys (columns)"
        + (now.writes ? "; a row reads one word and writes the next" : ""),
      corner: "query", rows: now.rows, columns: now.keys, allowed: now.seen.allowed,
      weight: (i, j) => row(now.weights, i)[j],
      press: (i, j) => {
        query = i;
        heat.chosen(i);
        drawQuery(now);
        tellWeight(now, j);
      },
    });
    heat.chosen(query);
    map.replaceChildren(heat);
    how.replaceChildren();
    drawQuery(now);
  }

  function drawQuery(now) {
    const i = query;
    const name = now.queries[i];
    const scores = [
      ["q·k", now.products, tellProduct],
      [ran.rules.scale ? `÷ √${D}` : "not divided", now.scores, tellScore],
      ...(now.isMasked ? [[ran.rules.mask ? "masked" : "not masked", now.masked, tellMasked]] : []),
      ["weight", now.weights, tellWeight],
    ];
    const titles = scores.map(([title]) => title);
    const steps = numberTable(`From the scores of the query “${name}” to its weights`, ["key", ...titles],
      now.keys.map((key, j) => ({
        label: key,
        cells: scores.map(([title, table, tell]) =>
          numberButton(row(table, i)[j], 2, `${title}, ${name}, ${key}`, () => tell(now, j))),
      })), "panel-steps");

    const shownFeatures = [...Array(all ? D : FEW).keys()];
    const vector = (letter, token, kindName, table, at, tell) => ({
      label: `${letter} ${token}`, kind: kindName,
      cells: shownFeatures.map((f) =>
        numberButton(row(table, at)[f], 2, `${letter} of ${token}, feature ${f + 1}`, () => tell(now, at, f))),
    });
    const extent = all ? `all ${D} features` : `the first ${FEW} of ${D} features`;
    const vectors = numberTable(`Query, keys, values, and the mixture: ${extent}`,
      ["vector", ...shownFeatures.map((f) => f + 1)], [
        vector("q", name, "panel-q", now.q, i, tellProjection("q", now.queries)),
        ...now.keys.map((key, j) => vector("k", key, "panel-k", now.k, j, tellProjection("k", now.keys))),
        ...now.keys.map((key, j) => vector("v", key, "panel-v", now.v, j, tellProjection("v", now.keys))),
        vector("mixture", name, "panel-mix", now.mixture, i, tellMixture),
      ], "panel-vectors");
    const more = button(all ? `only the first ${FEW}` : `all ${D} features`, () => {
      all = !all;
      drawQuery(now);
      details.querySelector(".panel-more").focus();
    });
    more.classList.add("panel-more");
    more.setAttribute("aria-expanded", all);
    stepsPlace.replaceChildren(steps);
    details.replaceChildren(element("div", {}, vectors, more), ...nextWords(now));
  }

  function nextWords(now) {
    if (!now.writes) {
      return [element("p", { class: "playable-help" },
        "The encoder writes no words: choose an attention of the decoder to see the next one.")];
    }
    const logits = row(ran.seen.logits.logits, query);
    const shares = softmax(logits);
    const best = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, TOP);
    return [numberTable(`The next word after “${now.queries[query]}”, of the whole model`,
      ["word", "logit", "probability"], best.map((id) => {
        const word = shown(model.vocabularies.tgt[id]);
        const share = numberButton(shares[id], 3, `probability of ${word}`, () => tellProbability(id));
        share.classList.add("panel-share");
        share.style.setProperty("--weight", `${100 * shares[id]}%`);
        return { label: word, cells: [numberButton(logits[id], 2, `logit of ${word}`, () => tellLogit(id)), share] };
      }), "panel-next")];
  }

  // --- how a number was computed -------------------------------------------------------------------------

  // Powers of e grow beyond what can be read: 485165195 is 4.9·10^8.
  const large = (number) => (number < 1e6 ? show(number, 2) : number.toExponential(1).replace("e+", "·10^"));
  const signed = (number) => (number < 0 ? `(${show(number, 2)})` : show(number, 2));

  // "1.30·0.20 + 0.11·(−0.40) + …": the first terms of a sum of products, and all of them in a fold.
  function tell(title, what, terms, after, kept = 3) {
    const written = terms.map((factors) => factors.map(signed).join("·"));
    const beginning = written.length > kept + 1
      ? `${written.slice(0, kept).join(" + ")} + … (${written.length - kept} more)` : written.join(" + ");
    const lines = [element("p", { class: "panel-how-title" }, title), element("p", {}, `${what} = ${beginning}${after}`)];
    if (written.length > kept + 1) {
      lines.push(element("details", {}, element("summary", {}, `all ${written.length} terms`),
        element("p", {}, written.join(" + "))));
    }
    how.replaceChildren(...lines);
  }

  const pairs = (a, b) => [...a].map((number, f) => [number, b[f]]);

  function tellProjection(letter, names) {
    return (now, i, f) => {
      const x = row(letter === "q" ? now.seen.x : now.seen.memory, i);
      const weight = row(model.parameters[`${now.place}.${letter}_proj.weight`], now.first + f);
      const bias = model.parameters[`${now.place}.${letter}_proj.bias`].data[now.first + f];
      tell(`${letter} of “${names[i]}”, feature ${f + 1}`,
        `x · (column ${now.first + f + 1} of W_${letter.toUpperCase()}) + bias`, pairs(x, weight),
        ` + ${signed(bias)} = ${show(dot(x, weight) + bias, 2)}`);
    };
  }

  const pair = (now, j) => `“${now.queries[query]}” and the key “${now.keys[j]}”`;

  function tellProduct(now, j) {
    const [q, k] = [row(now.q, query), row(now.k, j)];
    tell(`Dot product of the query ${pair(now, j)}`, "q·k", pairs(q, k), ` = ${show(dot(q, k), 2)}`);
  }

  function tellScore(now, j) {
    const product = row(now.products, query)[j];
    tell(`Score of the query ${pair(now, j)}`, "q·k", pairs(row(now.q, query), row(now.k, j)),
      ` = ${show(product, 2)}; `
      + (ran.rules.scale ? `divided by √${D} = ${show(Math.sqrt(D), 2)}: ` : "not divided by anything: ")
      + show(row(now.scores, query)[j], 2));
  }

  function tellMasked(now, j) {
    const allowed = now.seen.allowed(query, j);
    const score = show(row(now.scores, query)[j], 2);
    const why = ran.rules.mask ? "which does not come after it" : "as at every key: the mask is off";
    how.replaceChildren(element("p", { class: "panel-how-title" }, `Masked score of the query ${pair(now, j)}`),
      element("p", {}, allowed
        ? `The query may look at this key, ${why}. The score stays ${score}.`
        : `The key comes after the query, so the score ${score} becomes −∞, and the weight e^−∞ = 0.`));
  }

  function tellWeight(now, j) {
    const scores = [...row(now.masked, query)];
    const power = (score) => `e^${signed(score)}`;
    const own = row(now.weights, query)[j];
    const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
    const open = scores.filter((score) => score > -Infinity);
    how.replaceChildren(element("p", { class: "panel-how-title" }, `Weight of the query ${pair(now, j)}`),
      element("p", {}, `softmax = ${power(scores[j])} / (${open.map(power).join(" + ")}) = `
        + `${large(Math.exp(scores[j]))} / ${large(total)} = ${show(own, 3)}`
        + (open.length < scores.length ? `; ${scores.length - open.length} forbidden keys add e^−∞ = 0` : "")));
  }

  function tellMixture(now, i, f) {
    const values = now.keys.map((_, t) => [row(now.weights, i)[t], row(now.v, t)[f]]);
    tell(`Mixture for “${now.queries[i]}”, feature ${f + 1}`, "weights · values", values,
      ` = ${show(row(now.mixture, i)[f], 2)}`, 12);
  }

  function tellLogit(id) {
    const [x, vector] = [row(ran.seen.logits.x, query), row(model.parameters["tgt_embedding.weight"], id)];
    tell(`Logit of “${shown(model.vocabularies.tgt[id])}”`, "decoder's output · the word's vector", pairs(x, vector),
      ` = ${show(dot(x, vector), 2)}`);
  }

  function tellProbability(id) {
    const logits = row(ran.seen.logits.logits, query);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const word = shown(model.vocabularies.tgt[id]);
    how.replaceChildren(element("p", { class: "panel-how-title" }, `Probability of “${word}”`),
      element("p", {}, `softmax over all ${logits.length} words = e^${signed(logits[id])} / Σ e^logit = `
        + `${large(Math.exp(logits[id]))} / ${large(total)} = ${show(softmax(logits)[id], 3)}`));
  }

  const field = numberField(place.dataset.text, (typed) => {
    tokens = typed;
    run();
  });
  field.read();
  return [
    ...field.parts,
    element("div", { class: "panel-controls" }, kind.label, layer.label, head.label),
    element("fieldset", { class: "panel-breaks" }, element("legend", {}, "Break it"), ...switches.map(({ label }) => label)),
    answer, read,
    element("p", { class: "playable-help" },
      "Press any number, or move with the arrow keys and press Enter: below it is told how it was computed."),
    element("div", { class: "panel-columns" }, map, stepsPlace), details, how, spoken,
  ];
});
