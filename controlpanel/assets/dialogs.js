// Confirmations come as dialogs over the page, and menus close when somebody goes elsewhere.
// Without this script each is a page of its own, or stays open: the same links and forms work.
document.addEventListener("DOMContentLoaded", () => {
  // Each dialog closes by its own button, and by a click beside it.
  document.addEventListener("click", (event) => {
    const dialog = event.target.closest("dialog.panel-dialog");
    if (!dialog || (event.target !== dialog && !event.target.closest("[data-close]"))) return;
    event.preventDefault();
    dialog.close();
  });

  const close = (except) => document.querySelectorAll("details.panel-menu[open]").forEach((menu) => {
    if (!menu.contains(except)) menu.open = false;
  });
  document.addEventListener("click", ({ target }) => close(target));
  document.addEventListener("focusin", ({ target }) => close(target));
  document.addEventListener("keydown", ({ key, target }) => {
    const menu = key === "Escape" && target.closest("details.panel-menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  const dialog = document.getElementById("dialog");
  if (!dialog) return;

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target.id !== "dialog-body") return;
    if (!dialog.open) {
      // The browser gives the focus back to where it was, and a menu closes meanwhile: its button stays.
      document.activeElement.closest("details.panel-menu")?.querySelector("summary").focus();
      dialog.showModal();
    }
    // What was refused, or else what is asked first; a dialog without questions is read, then answered.
    const first = dialog.querySelector("[aria-invalid=true], input:not([type=hidden]), select, textarea");
    (first ?? dialog.querySelector("button[type=submit], [data-close]"))?.focus();
  });

  // A page that can't be shown in a dialog says on its own why.
  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (detail.target.id === "dialog-body") location.assign(detail.pathInfo.requestPath);
  });

  dialog.addEventListener("close", () => document.getElementById("dialog-body").replaceChildren());
});
