// The decoder's residual stream, layer by layer: what the output layer would write if it read the stream already there,
// and for one word how long the stream is, what each sublayer adds to it, and how far it turns.
//   data-text="524"   what stands in the field at the beginning   data-word="2"   whose way is shown, counted from 1
"use strict";

panel.define("stream", "The stream, layer by layer", (place, model) => {
  const { element, show, speaker } = playable;
  const { shown, axes, watched, numberField, numberButton, numberTable } = parts;
  const { WHOLE, row, dot, softmax } = transformer;
  const SUBLAYERS = { self_attention: "self-attention", cross_attention: "cross-attention", feed_forward: "feed-forward" };
  const TOP = 3; // words that are told

  let ran = null; // the translation, and all that was watched on the way
  let word = place.dataset.word - 1; // whose way is shown

  // --- what is computed ----------------------------------------------------------------------------------

  const length = (x) => Math.sqrt(dot(x, x));
  const turned = (x, y) => (180 / Math.PI) * Math.acos(Math.min(1, dot(x, y) / (length(x) * length(y))));

  // The stream behind the embedding, and behind each sublayer of each layer.
  function stations() {
    const behind = [...Array(model.config.num_decoder_layers).keys()].flatMap((layer) =>
      Object.entries(SUBLAYERS).map(([name, label]) => (
        { label: `${layer + 1}: ${label}`, ...ran.seen[`decoder.blocks.${layer}.${name}_residual`] })));
    return [{ label: "embedded", y: behind[0].x }, ...behind];
  }

  // The words that the output layer would write there at place i, the most probable first.
  function words({ y }, i) {
    const shares = softmax(row(model.output(y), i));
    return [...shares].map((share, id) => ({ id, share, text: shown(model.vocabularies.tgt[id]) }))
      .sort((a, b) => b.share - a.share).slice(0, TOP);
  }

  // --- what is shown -------------------------------------------------------------------------------------

  const answer = element("p", { class: "panel-answer" });
  const map = element("div", {});
  const way = element("div", {});
  const said = element("p", { class: "playable-help" });
  const spoken = speaker();
  const percent = (share) => `${show(100 * share, 0)} %`;

  // The most probable word at a place; pressed, it says which others are probable there.
  function wordButton(station, title, i, act = () => {}) {
    const [best] = words(station, i);
    const made = numberButton(best.share, 2, `${title}, ${best.text}`, () => {
      act();
      said.textContent = `${title}: the output layer would write `
        + `${words(station, i).map(({ text, share }) => `“${text}” (${percent(share)})`).join(", ")} …`;
      spoken.say(said.textContent);
    });
    made.style.setProperty("--weight", `${Math.round(100 * best.share)}%`);
    made.classList.add("panel-heat");
    made.textContent = `${best.id === ran.tgt[i] ? "" : "≠ "}${best.text}`;
    return made;
  }

  function draw() {
    const { rows } = axes("decoder", [], ran.tgt.map((id) => shown(model.vocabularies.tgt[id])));
    const all = stations();
    const layers = all.filter((_, n) => n % Object.keys(SUBLAYERS).length === 0);
    const titles = layers.map((_, n) => (n ? `layer ${n}` : "embedded"));
    const lines = rows.map((label, i) => ({ label, cells: layers.map((station, n) =>
      wordButton(station, `${label}, ${titles[n]}`, i, () => {
        word = i;
        drawWay();
      })) }));
    map.replaceChildren(numberTable(
      "What the output layer would write if it read the stream already there; the stronger its colour, the surer; ≠ where it is "
        + "another word than the one written at last. A row reads one word and writes the next",
      ["word", ...titles], lines, "panel-words"));

    function drawWay() {
      lines.forEach(({ cells }, i) => cells[0].closest("tr").classList.toggle("panel-chosen", i === word));
      way.replaceChildren(numberTable(
        `The way of “${rows[word]}”, sublayer by sublayer: how long the vector is that is added, by how many degrees `
          + "the stream turns, and how long it is then",
        ["behind", "would write", "added", "turns by", "length"],
        all.map((station) => {
          const [x, added, y] = ["x", "added", "y"].map((name) => station[name] && row(station[name], word));
          const moved = x ? [show(length(added), 1), `${show(turned(x, y), 0)}°`] : ["", ""];
          const written = wordButton(station, `${rows[word]}, ${station.label}`, word);
          return { label: station.label, cells: [written, ...moved, show(length(y), 1)] };
        }), "panel-way"));
    }

    drawWay();
    said.textContent = "Press a word, or move among them with the arrow keys and press Enter.";
  }

  const field = numberField(place.dataset.text, (tokens) => {
    ran = watched(model, tokens, WHOLE);
    word = Math.min(word, ran.tgt.length - 1);
    answer.replaceChildren(tokens.join(""), " → ", element("strong", { lang: "fr" }, ran.written));
    draw();
    spoken.say(`${tokens.join("")} is ${ran.written}.`);
  });
  field.read();
  return [...field.parts, answer, map, said, way, spoken];
});
