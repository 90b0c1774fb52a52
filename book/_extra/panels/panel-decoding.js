// Decoding step by step: how the next token is chosen, what each choice cuts away, and what a cache spares.
//   data-text="492"   what stands in the field at the beginning
"use strict";

panel.define("decoding", "Decoding, step by step", (place, model) => {
  const { element, show, speaker, button } = playable;
  const { LIMIT, shown, choice, counted, slider, tick, numberField, numberTable, settled } = parts;
  const { BOS, EOS, softmax } = transformer;
  const FEW = 7; // tokens with a bar of their own
  const WAYS = {
    greedy: "greedy: the most probable",
    sampling: "sampling: drawn at random",
    beam: "beam search: the best beginnings",
  };

  let tokens = []; // that were read
  let memory = null; // what the encoder made of them
  let run = null; // the writing under way
  let chance = null; // where draws come from

  const named = (id) => shown(model.vocabularies.tgt[id]);
  const joined = (ids) => ids.filter((id) => id !== EOS).map((id) => model.vocabularies.tgt[id]).join("").trim();
  const percent = (share) => `${show(100 * share, share < 0.1 ? 1 : 0)} %`;

  // --- what is computed ----------------------------------------------------------------------------------

  // Token after token, each chosen from the logits of the one step.
  class Chain {
    constructor(decoding) {
      Object.assign(this, { decoding, ids: [], logits: decoding.feed([BOS]) });
    }

    get isDone() { return this.ids.at(-1) === EOS || this.ids.length === LIMIT; }

    step(chosen) {
      const kept = generate.truncated(this.logits, rules());
      const id = chosen ?? (way() === "greedy" ? generate.best(this.logits) : generate.draw(softmax(kept), chance()));
      const share = softmax(kept)[id];
      this.ids.push(id);
      if (!this.isDone) this.logits = this.decoding.feed([id]);
      return `“${named(id)}” is written; it had ${percent(share)}.`;
    }
  }

  // The K best beginnings side by side.
  class Beams {
    constructor(decoding) {
      this.decoding = decoding;
      this.search = new generate.BeamSearch(decoding, { prompt: [BOS], numBeams: Number(beams.made.value),
        maxNewTokens: LIMIT, lengthPenalty: Number(penalty.made.value) });
    }

    get isDone() { return this.search.isDone; }
    get ids() { return this.isDone ? this.search.best.ids : this.search.beams[0].ids; }

    step() {
      this.search.step();
      const fates = this.search.steps.at(-1);
      const of = (fate) => fates.filter((each) => each.fate === fate).map(({ ids }) => `“${joined(ids)}”`);
      return `Step ${this.search.steps.length}: kept ${of("kept").join(", ") || "none"}`
        + `${of("ended").length ? `; ended ${of("ended").join(", ")}` : ""}.`;
    }
  }

  const way = () => how.made.value;
  // Greedy looks at the distribution as it is; only a draw is heated or cut.
  const rules = () => (way() === "greedy" ? {} : {
    temperature: temperature.value(), topK: Number(topK.made.value) || null, topP: topP.value(),
  });

  let spent = 0; // milliseconds
  function timed(act) {
    const begun = performance.now();
    const result = act();
    spent += performance.now() - begun;
    return result;
  }

  const begun = () => {
    const decoding = new generate.Decoding(model, memory, { cached: cache.box.checked });
    return way() === "beam" ? new Beams(decoding) : new Chain(decoding);
  };

  function restart() {
    chance = generate.chances(Number(seed.made.value));
    spent = 0;
    run = timed(begun);
    draw();
  }

  // The same tokens once more, with the cache or without: the count is that of a whole writing, not of a mixed one.
  function again() {
    const before = run;
    spent = 0;
    run = timed(begun);
    if (way() === "beam") for (let n = before.search.steps.length; n > 0; n--) timed(() => run.step());
    else for (const id of before.ids) timed(() => run.step(id));
    draw();
    spoken.say(work.textContent);
  }

  function go(steps) {
    let said = "";
    for (let n = 0; n < steps && !run.isDone; n++) said = timed(() => run.step());
    draw();
    spoken.say(run.isDone ? `Finished: ${joined(run.ids)}.` : said);
  }

  // --- what is shown -------------------------------------------------------------------------------------

  const answer = element("p", { class: "panel-answer" });
  const work = element("p", { class: "panel-verdict" });
  const view = element("div", {});
  const spoken = speaker();

  function share(number, text) {
    const made = element("span", { class: "panel-share panel-bar" }, text);
    made.style.setProperty("--weight", `${100 * number}%`);
    made.dataset.value = number;
    return made;
  }

  // A bar for each of the most probable tokens, one for all others; beside it what is left of it for the draw.
  function bars() {
    const isDrawn = way() === "sampling";
    const its = rules();
    const before = softmax(generate.truncated(run.logits, { temperature: its.temperature ?? 1 }));
    const after = softmax(generate.truncated(run.logits, its));
    const order = [...before.keys()].sort((a, b) => before[b] - before[a]);
    const sum = (shares, ids) => ids.reduce((total, id) => total + shares[id], 0);
    const rest = order.slice(FEW);
    const left = rest.filter((id) => after[id]).length;
    const lines = [
      ...order.slice(0, FEW).map((id) => ({ label: named(id), ids: [id], cut: !after[id] })),
      { label: `${rest.length} others`, ids: rest, cut: !left,
        note: isDrawn && left && left < rest.length ? `, ${rest.length - left} cut` : "" },
    ];
    const stay = before.length - after.filter((each) => !each).length;
    const caption = isDrawn
      ? `The next token: its probability at this temperature, and with what it is drawn. ${stay} of ${before.length} `
        + "tokens can be drawn; a hatched bar is cut"
      : "The next token: its probability; greedy takes the first";
    const table = numberTable(caption, ["token", "probability", ...(isDrawn ? ["drawn with"] : [])],
      lines.map(({ label, ids, cut, note = "" }) => ({
        label, kind: cut ? "panel-cut" : null, cells: [
          share(sum(before, ids), percent(sum(before, ids))),
          ...(isDrawn ? [cut ? "cut" : `${percent(sum(after, ids))}${note}`] : []),
        ],
      })), "panel-bars");
    table.dataset.kept = [...after.keys()].filter((id) => after[id]);
    return table;
  }

  const [STEP, LINE, BOX] = [{ x: 112, y: 44 }, 17, { width: 88, height: 38 }];

  // Steps from left to right, in each its candidates from the best down; a line leads to each from the beam it extends.
  function tree() {
    const { steps, numBeams } = run.search;
    const height = 2 * numBeams * STEP.y;
    const svg = element("svg", { class: "panel-tree", width: steps.length * STEP.x + BOX.width + 4, height, role: "img" });
    const node = (column, line, fate, texts) => {
      const [x, y] = [2 + column * STEP.x, 2 + line * STEP.y];
      svg.append(element("path", { class: `panel-node panel-${fate}`,
        d: `M${x} ${y}h${BOX.width}v${BOX.height}h${-BOX.width}z` }));
      texts.forEach((text, n) => svg.append(element("text",
        { class: `panel-${fate}`, x: x + BOX.width / 2, y: y + 15 + n * LINE, "text-anchor": "middle" }, text)));
    };
    let lines = [0]; // where the beams stand that are extended
    const told = [];
    const middle = (line) => 2 + line * STEP.y + BOX.height / 2;
    node(0, 0, "kept", ["⟨start⟩", "0"]);
    steps.forEach((candidates, n) => {
      candidates.forEach(({ from, id, total, fate }, line) => {
        const [x, to] = [2 + n * STEP.x + BOX.width, 2 + (n + 1) * STEP.x];
        svg.append(element("path", { class: `panel-edge panel-${fate}`, d: `M${x} ${middle(lines[from])}L${to} ${middle(line)}` }));
        node(n + 1, line, fate, [named(id), `${fate === "ended" ? "ended " : ""}${show(total, 2)}`]);
      });
      told.push(`Step ${n + 1}: ${candidates.map(({ ids, total, fate }) =>
        `${joined(ids) || "nothing"}${ids.at(-1) === EOS ? " ⟨end⟩" : ""} ${show(total, 2)}, ${fate}`).join("; ")}.`);
      lines = candidates.flatMap(({ fate }, line) => (fate === "kept" ? [line] : []));
    });
    svg.setAttribute("aria-label", told.join(" ") || "Only ⟨start⟩ so far.");
    const scroll = element("div", { class: "panel-scroll", tabindex: 0, role: "group", "aria-label": "The beams' tree" }, svg);
    requestAnimationFrame(() => { scroll.scrollLeft = scroll.scrollWidth; });
    settled();
    const caption = "Under each token the sum of log-probabilities up to it. Thick: kept; thin and dashed: dropped; "
      + "filled: ended";
    return element("div", { class: "panel-tabled" }, element("p", { class: "panel-caption" }, caption), scroll);
  }

  function beamTable() {
    const { beams: kept, steps, best } = run.search;
    const ended = steps.flat().filter(({ fate }) => fate === "ended").sort((a, b) => b.score - a.score);
    const lines = [
      ...ended.slice(0, run.search.numBeams).map((each) => ({ ...each, state: each === best ? "ended, best" : "ended" })),
      ...kept.map((each) => ({ ...each, state: "goes on" })),
    ].filter(({ ids }) => ids.length);
    if (!lines.length) return "";
    return numberTable("The sentences: those that have ended are compared by their score, the log-probability (log p) divided by "
      + "((5 + tokens) / 6) to the power of the length penalty", ["sentence", "tokens", "log p", "score"],
    lines.map(({ ids, total, score, state }) => ({
      label: element("span", {}, element("span", { lang: "fr" }, joined(ids) || "⟨end⟩"), ` (${state})`),
      cells: [String(ids.length), show(total, 3), score === undefined ? "" : show(score, 3)],
    })), "panel-sentences");
  }

  function draw() {
    const { computed, otherwise } = run.decoding.work;
    const [now, then] = cache.box.checked ? ["with the cache", "without it"] : ["without a cache", "with one"];
    const isBeam = way() === "beam";
    const text = joined(run.ids);
    answer.replaceChildren(tokens.join(""), " → ",
      element("strong", { lang: "fr" }, `${text || "⟨start⟩"}${run.isDone ? "" : " …"}`));
    work.replaceChildren(`Positions computed by the decoder so far: `, element("strong", {}, String(computed)),
      ` ${now} (${then}: ${otherwise}). On your machine: ${show(spent, 0)} ms.`);
    Object.assign(work.dataset, { computed, otherwise });
    const isEnd = run.isDone && (run.ids.at(-1) === EOS
      ? "⟨end⟩ is written; nothing comes after it." : `Stopped after ${LIMIT} tokens.`);
    const finished = element("p", { class: "playable-help" }, isEnd || "");
    view.replaceChildren(...(isBeam ? [tree(), beamTable()] : [run.isDone ? "" : bars()]), finished);
    draws.hidden = way() !== "sampling";
    searches.hidden = !isBeam;
    for (const each of [next, all]) each.setAttribute("aria-disabled", run.isDone); // keeps the focus
  }

  const how = choice("method", WAYS, "greedy", restart);
  const temperature = slider("temperature", { min: 0.2, max: 5, step: 0.1, start: 1 }, draw);
  const topK = choice("top-k", { 0: "all", 1: 1, 2: 2, 3: 3, 5: 5, 10: 10 }, 0, draw);
  const topP = slider("top-p", { min: 0.05, max: 1, step: 0.05, start: 1 }, draw);
  const seed = choice("seed", counted(9), 1, restart);
  const beams = choice("beams", { 2: 2, 3: 3, 4: 4 }, 2, restart);
  const penalty = choice("length penalty", { 0: 0, 0.6: 0.6, 1: 1, 2: 2 }, 0.6, restart);
  const cache = tick("cache keys and values", "cache", again);
  cache.box.checked = true;
  const controls = (...labels) => element("div", { class: "panel-controls" }, ...labels);
  const draws = controls(temperature.label, topK.label, topP.label, seed.label);
  const searches = controls(beams.label, penalty.label);
  const next = button("Next token", () => go(1));
  const all = button("To the end", () => go(LIMIT));
  const anew = button("Start again", restart);

  const field = numberField(place.dataset.text, (read) => {
    tokens = read;
    memory = model.encode([...tokens.map((token) => model.vocabularies.src.indexOf(token)), EOS]);
    restart();
  }, "Begin");
  field.read();
  return [...field.parts, controls(how.label, cache.label), draws, searches, controls(next, all, anew), answer, view, work,
    spoken];
});
