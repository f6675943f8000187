// The bell: opens its list below itself, and shows what is new by the browser, in one tab, once.
(() => {
  const list = () => document.getElementById("bell-list");
  const link = () => document.querySelector("[data-bell]");
  const isOpen = () => list() && !list().hidden;

  function close(back) {
    if (!isOpen()) return;
    list().hidden = true;
    list().replaceChildren();
    link()?.setAttribute("aria-expanded", "false");
    if (back) link()?.focus();
  }

  async function open() {
    // Settled at once: a button that has the keyboard before htmx knows it would send its form and leave the page.
    const swap = "innerHTML settle:0ms";
    await htmx.ajax("GET", link().href, { source: "#bell-list", target: "#bell-list", swap });
    if (!list().firstElementChild) return;
    list().hidden = false;
    // To have opened the list is to have seen how much is new.
    link().querySelector(".panel-count")?.remove();
    link().querySelector(".panel-unseen").textContent = "What's new: nothing";
    link().setAttribute("aria-expanded", "true");
    list().querySelector("a, button")?.focus();
  }

  document.addEventListener("click", (event) => {
    const bell = event.target.closest("[data-bell]");
    if (bell && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.button && window.htmx) {
      event.preventDefault();
      if (isOpen()) close(true);
      else open();
    } else if (!event.target.closest("#bell-list")) close(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close(true);
  });

  // Each event is shown by the tab that hears of it first: all tabs share where the last one was.
  function notify() {
    const bell = document.getElementById("bell");
    const events = JSON.parse(bell?.dataset.events ?? "[]");
    if (!events.length || !("Notification" in window) || Notification.permission !== "granted") return;
    const shown = new Set(JSON.parse(localStorage.getItem("shown-events") ?? "[]"));
    const fresh = events.filter(({ key }) => !shown.has(key));
    localStorage.setItem("shown-events", JSON.stringify([...shown, ...fresh.map(({ key }) => key)].slice(-100)));
    for (const { key, title, body, url } of fresh) {
      try {
        const shownNow = new Notification(title, { body, tag: key });
        shownNow.addEventListener("click", () => {
          window.focus();
          location.assign(url);
        });
      } catch {
        return; // Chrome on a phone has the permission, and no notifications without a service worker.
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    link()?.setAttribute("aria-expanded", "false");
    link()?.setAttribute("aria-controls", "bell-list");
    notify();
  });
  document.addEventListener("htmx:load", ({ target }) => {
    // The button that marked all as read is gone, and the keyboard with it.
    if (target.matches("#bell-list .panel-news") && !list().hidden) target.querySelector("a, button")?.focus();
    if (target.id !== "bell") return;
    link().setAttribute("aria-expanded", String(isOpen()));
    link().setAttribute("aria-controls", "bell-list");
    notify();
  });
})();
