// What the theme leaves to be done for readers without a mouse, without a screen, or without a network.
"use strict";

(() => {
  // What is wider than its column scrolls inside itself, and the keyboard must be able to scroll it: such an
  // element has a place in the tab order for as long as it needs one.
  const WIDE = "pre, .output, .pst-scrollable-table-container, .scrolls, div.math, .playable-scroll, .panel-scroll";

  function mark() {
    for (const formula of document.querySelectorAll("span.math mjx-container")) {
      formula.classList.remove("scrolls");
      const column = formula.closest("p, li, td, th, dt, dd, figcaption, h1, h2, h3, div");
      formula.classList.toggle("scrolls", formula.offsetWidth > column.clientWidth);
    }
    for (const element of document.querySelectorAll(WIDE)) {
      const scrolls = /auto|scroll/.test(getComputedStyle(element).overflowX)
        && (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight);
      if (scrolls) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  }

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
    mark();
    window.MathJax?.startup?.promise?.then(mark);
  });
  window.addEventListener("resize", mark);
})();
