// What loads above a button may push it down between the press and the release: the browser then clicks on what has come
// in its place. A mouse or finger that stayed where it was meant what it pressed.
let pressed = null;

(() => {
  const STILL = 6; // pixels that a hand moves without meaning to
  let from;

  document.addEventListener("pointerdown", (event) => {
    pressed = event.isPrimary && event.button === 0 ? event.target.closest("button, a[href], summary") : null;
    from = event;
  }, true);

  document.addEventListener("click", (event) => {
    const meant = pressed;
    pressed = null;
    // By the keyboard or by a script: `detail` counts what a pointer clicks.
    if (!meant?.isConnected || !event.detail || !event.isTrusted || meant.contains(event.target)) return;
    if (Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > STILL) return;
    event.preventDefault();
    event.stopPropagation();
    meant.dispatchEvent(new MouseEvent("click", event));
  }, true);

  // A release that clicks on nothing, as one outside of the window, ends the press too.
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => setTimeout(() => (pressed = null)), true);
  }
})();
