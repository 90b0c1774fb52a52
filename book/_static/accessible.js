// What the theme leaves to be done for readers without a mouse or a screen.
"use strict";

(() => {
  // What is wider than its column scrolls inside itself, and the keyboard must be able to scroll it: such an
  // element has a place in the tab order for as long as it needs one.
  const WIDE = "pre, .output, .pst-scrollable-table-container, .scrolls, div.math, .playable-scroll";

  function mark() {
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

  document.addEventListener("DOMContentLoaded", name);
  window.addEventListener("load", () => {
    mark();
    window.MathJax?.startup?.promise?.then(mark);
  });
  window.addEventListener("resize", mark);
})();
