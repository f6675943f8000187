// Parts of pages that fetch themselves again. Each has in `data-summary` what it shows, in a sentence.

// Not under the hands of its user: they press something, have the keyboard in it, rows chosen, a text marked, or a menu or
// dialog open.
function mayRenew(part) {
  const marked = getSelection();
  return !(
    pressed ||
    part.contains(document.activeElement) ||
    part.querySelector(".action-select:checked") ||
    (!marked.isCollapsed && part.contains(marked.anchorNode)) ||
    document.querySelector("dialog[open], details.panel-menu[open]") ||
    document.body.classList.contains("overflow-hidden")
  );
}

(() => {
  let shown;
  let sideways = 0;
  const spoken = () => document.querySelector("[data-summary]")?.dataset.summary;
  const scroller = (part) => part.querySelector(".simplebar-content-wrapper");

  document.addEventListener("DOMContentLoaded", () => (shown = spoken()));

  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    // Somebody may have come to it while the answer was on its way.
    if (part.matches("[hx-trigger*=mayRenew]") && !mayRenew(part)) event.detail.shouldSwap = false;
    if (part.id !== "rows") return;
    sideways = scroller(part)?.scrollLeft ?? 0;
    // Or the page would be too short for where it is scrolled to, until the new rows have their place.
    part.parentElement.style.minHeight = `${part.parentElement.offsetHeight}px`;
  });

  document.addEventListener("htmx:afterSettle", () => {
    if (spoken() === shown) return;
    shown = spoken();
    document.getElementById("page-status").textContent = shown;
  });

  // It says so when it can't: what it shows may be long past.
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, ({ target }) => {
      target.querySelectorAll("[data-not-renewed]").forEach((note) => (note.hidden = false));
    });
  }

  document.addEventListener("htmx:load", ({ target: rows }) => {
    if (rows.id !== "rows") return;
    requestAnimationFrame(() => {
      scroller(rows)?.scrollTo({ left: sideways });
      rows.parentElement.style.minHeight = "";
    });
    const boxes = rows.querySelectorAll("tr input.action-select");
    if (!boxes.length) return;
    // The admin counts what is chosen of the rows that the page came with. It never lets go of those that it was given,
    // so it gets these when somebody is about to choose, and not each time that they are renewed.
    const count = () => Actions(boxes, { parent: rows.closest(".result-list-wrapper") });
    rows.addEventListener("click", count, { capture: true, once: true });
  });
})();
