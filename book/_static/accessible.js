// What the theme leaves to be done for readers without a mouse, without a screen, or without a network.
"use strict";

(() => {
  // What is wider than its column scrolls inside itself. For as long as it does, the keyboard must be able to
  // scroll it, so it has a place in the tab order, and the edge behind which there is more fades out.
  const WIDE = "pre, .output, .pst-scrollable-table-container, .scrolls, div.math, mjx-container[display], "
    + ".playable-scroll, .panel-scroll";

  function fade(element) {
    const scrolls = /auto|scroll/.test(getComputedStyle(element).overflowX);
    const hidden = scrolls ? element.scrollWidth - element.clientWidth : 0;
    element.classList.toggle("more-left", hidden > 1 && element.scrollLeft > 1);
    element.classList.toggle("more-right", hidden > 1 && element.scrollLeft < hidden - 1);
    return hidden > 1;
  }

  function mark() {
    for (const formula of document.querySelectorAll("span.math mjx-container")) {
      formula.classList.remove("scrolls");
      const column = formula.closest("p, li, td, th, dt, dd, figcaption, h1, h2, h3, div");
      formula.classList.toggle("scrolls", formula.offsetWidth > column.clientWidth);
    }
    for (const element of document.querySelectorAll(WIDE)) {
      const long = element.scrollHeight > element.clientHeight + 1
        && /auto|scroll/.test(getComputedStyle(element).overflowY);
      if (fade(element) || long) element.tabIndex = 0;
      else if (element.tabIndex === 0) element.removeAttribute("tabindex");
    }
  }

  document.addEventListener("scroll", (event) => {
    if (event.target instanceof Element && event.target.matches(WIDE)) fade(event.target);
  }, { capture: true, passive: true });

  // Paper is white, and nothing can be unfolded there: the light theme, with open answers. Afterwards
  // all is as it was.
  const page = document.documentElement;
  const unfolded = [];
  let theme;
  window.addEventListener("beforeprint", () => {
    theme ??= page.dataset.theme;
    page.dataset.theme = "light";
    for (const fold of document.querySelectorAll("main details:not([open])")) {
      fold.open = true;
      unfolded.push(fold);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const fold of unfolded.splice(0)) fold.open = false;
    if (theme) page.dataset.theme = theme;
    theme = undefined;
  });

  // The arrows that unfold the table of contents have no text.
  function name() {
    for (const summary of document.querySelectorAll(".bd-sidebar-primary summary")) {
      const chapter = summary.closest("li").querySelector("a").textContent.trim();
      summary.setAttribute("aria-label", `Pages of ${chapter}`);
    }
  }

  // A page opened from the disk may not read its neighbours: the search then shows titles without extracts.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  document.addEventListener("DOMContentLoaded", name);
  window.addEventListener("load", () => {
    // Marked anew whenever the page changes its size: a turned phone, an opened fold, a figure that grew.
    let waiting = 0;
    const later = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(mark); };
    new ResizeObserver(later).observe(document.querySelector("article") ?? document.body);
    window.MathJax?.startup?.promise?.then(later);
  });
})();
