// The translator at work: a number in, its French out, and which English word was read for each French one.
//   data-text="two hundred and eighty-one"   what stands in the field at the beginning
"use strict";

panel.define("translate", "Translate a number", (place, model) => {
  const { element, show, speaker } = playable;
  const { shown, numberField, heatMap } = parts;
  const answer = element("p", { class: "panel-answer" });
  const map = element("div", {});
  const said = element("p", { class: "playable-help" });
  const spoken = speaker();

  function translate(tokens) {
    let cross = null; // the last watched is the last block's
    const watch = (name, seen) => { if (name.endsWith("cross_attention")) cross = seen; };
    const { src, tgt, written } = model.translate(tokens, { watch });
    const rows = tgt.map((id) => shown(model.vocabularies.tgt[id]));
    const columns = src.map((id) => shown(model.vocabularies.src[id]));
    const weight = (i, j) =>
      cross.heads.reduce((sum, head) => sum + head.weights.data[i * src.length + j], 0) / cross.heads.length;
    const tell = (i, j) => {
      said.textContent = `When “${rows[i]}” was written, ${show(100 * weight(i, j), 0)} % of the attention lay on `
        + `“${columns[j]}”.`;
      spoken.say(said.textContent);
    };
    answer.replaceChildren(tokens.join(""), " → ", element("strong", { lang: "fr" }, written));
    map.replaceChildren(heatMap({
      caption: "Which English word was read (columns) for each French word written (rows); each row sums to 1. "
        + `(Averaged over the ${cross.heads.length} heads of its last cross-attention; chapter 3 says what heads are.)`,
      corner: "wrote", rows, columns, weight, press: tell,
    }));
    said.textContent = "Press a number, or move among them with the arrow keys and press Enter.";
    spoken.say(`${tokens.join("")} is ${written}.`);
  }

  const field = numberField(place.dataset.text, translate);
  field.read();
  return [...field.parts, answer, map, said, spoken];
});
