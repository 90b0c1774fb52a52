// The character GPT writes on from what is typed.
//   data-text="The function"   how the text begins
"use strict";

panel.define("writer", "A character GPT that writes", (place, model) => {
  const { element, speaker, button } = playable;
  const { choice, counted, slider, textField } = parts;
  const LIMIT = 400; // characters
  const SPECIAL = 4; // tokens that are no character: no text holds one

  const begun = element("strong", {});
  const written = element("span", {});
  const answer = element("p", { class: "panel-answer panel-written" }, begun, written);
  const status = element("p", { class: "playable-help" });
  const spoken = speaker();
  let running = 0; // the writing under way; another number ends it

  function tell(sentence) {
    status.textContent = sentence;
    spoken.say(sentence);
  }

  // One character after the other, so that the page stays awake and the reader can stop it.
  function write(ids) {
    const number = (running += 1);
    const decoding = new generate.Decoding(model, null);
    const chance = generate.chances(Number(seed.made.value));
    begun.textContent = ids.map((id) => model.characters[id]).join("");
    written.textContent = "";
    stop.disabled = false;
    let newest = ids;
    let count = 0;
    function next() {
      if (number !== running) return;
      const logits = Float64Array.from(decoding.feed(newest)).fill(-Infinity, 0, SPECIAL);
      const kept = generate.truncated(logits, { temperature: temperature.value(), topP: topP.value() });
      newest = [generate.draw(transformer.softmax(kept), chance())];
      written.append(model.characters[newest[0]]);
      count += 1;
      status.textContent = `${count} characters`;
      if (count < LIMIT) setTimeout(next);
      else end(`Finished after ${LIMIT} characters.`);
    }
    setTimeout(next);
  }

  function end(sentence) {
    running += 1;
    stop.disabled = true;
    tell(sentence);
  }

  function read(typed) {
    const characters = [...typed.normalize("NFC").replaceAll("\u00a0", " ")];
    if (!characters.length) throw new Error("Nothing was typed. Wanted: at least one character to begin with.");
    const unknown = characters.filter((each) => model.characters.indexOf(each) < SPECIAL);
    if (unknown.length) throw new Error(`Never seen in training: ${unknown.map((each) => `“${each}”`).join(", ")}.`);
    return characters.map((each) => model.characters.indexOf(each));
  }

  const temperature = slider("temperature", { min: 0.2, max: 2, step: 0.1, start: 0.6 }, () => {});
  const topP = slider("top-p", { min: 0.05, max: 1, step: 0.05, start: 1 }, () => {});
  const seed = choice("seed", counted(9), 1, () => {});
  const stop = button("Stop", () => end("Stopped."));
  stop.disabled = true;
  const field = textField("How the text begins", place.dataset.text, read, write, "Write");
  begun.textContent = place.dataset.text;
  const live = [...field.parts, element("div", { class: "panel-controls" }, temperature.label, topP.label, seed.label, stop),
    answer, status, spoken];
  for (const part of live) {
    part.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !stop.disabled) end("Stopped.");
    });
  }
  tell(`It writes up to ${LIMIT} characters; temperature and top-p count from the next one on. Escape stops it, too.`);
  return live;
});
