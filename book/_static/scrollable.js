// What is wider than its column scrolls inside itself, and whoever has no mouse must be able to scroll it:
// such an element gets a place in the tab order, and only as long as it needs one.
"use strict";

(() => {
  const WIDE = ".highlight pre, .cell_output pre, .output, .pst-scrollable-table-container, div.math, "
    + "mjx-container[display='true'], .playable-scroll";

  function mark() {
    for (const element of document.querySelectorAll(WIDE)) {
      const wide = element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1;
      if (wide) element.tabIndex = 0;
      else if (element.dataset.scrollable) element.removeAttribute("tabindex");
      if (wide) element.dataset.scrollable = "yes";
    }
  }

  window.addEventListener("load", mark);
  window.addEventListener("resize", mark);
})();
