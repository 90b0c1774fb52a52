// A panel is a place where one of our models runs in the page:
//   <div class="panel" data-panel="head" data-model="numbers"> a worked example, as text and table </div>
// The runtime, the panel's own script and the model's weights lie in the book's folder panels/ and are loaded when
// such a place comes near or gets the focus, and on no other page. Each script panels/panel-NAME.js calls
//   panel.define("NAME", "what it is", (place, model) => [elements])
// The worked example stays where scripts are off and on paper, and is hidden only once its panel has been built.
"use strict";

window.panel = (() => {
  const NEAR = "600px";
  const ALSO = { decoding: ["generate"], writer: ["generate", "gpt"] }; // what a panel needs besides its own script
  const builders = {};
  const loading = {};
  const models = {};

  function script(name) {
    loading[name] ??= new Promise((loaded, failed) => {
      const made = document.createElement("script");
      made.src = `${document.documentElement.dataset.content_root}panels/${name}.js`;
      made.onload = loaded;
      made.onerror = () => failed(new Error(`panels/${name}.js cannot be loaded`));
      document.head.append(made);
    });
    return loading[name];
  }

  async function build(place) {
    const { panel: name, model } = place.dataset;
    await Promise.all(["runtime", "reading", "parts"].map(script));
    await Promise.all((ALSO[name] ?? []).map(script));
    await Promise.all([`models/${model}`, `panel-${name}`].map(script));
    const file = minitxModels[model];
    models[model] ??= file.characters ? new transformer.GPT(file) : new transformer.Translator(file);
    const { label, make } = builders[name];
    const live = playable.element("div", { class: "panel-live" }, ...make(place, models[model]));
    const example = playable.element("div", { class: "panel-example", hidden: "" });
    example.append(...place.childNodes);
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", label);
    place.append(live, example);
    place.classList.add("panel-ready");
  }

  async function open(place) {
    if (place.dataset.opened) return;
    place.dataset.opened = "yes";
    try {
      await build(place);
    } catch (problem) {
      place.append(playable.element("p", { class: "panel-error" }, `The model does not run here: ${problem.message}.`));
    }
  }

  function define(name, label, make) {
    builders[name] = { label, make };
  }

  document.addEventListener("DOMContentLoaded", () => {
    const near = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) open(entry.target);
    }, { rootMargin: NEAR });
    for (const place of document.querySelectorAll(".panel[data-panel]")) {
      near.observe(place);
      place.addEventListener("focusin", () => open(place), { once: true });
    }
  });

  return { define };
})();
