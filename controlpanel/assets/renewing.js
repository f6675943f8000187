// A part of a page that renews itself says so when it can't: what it shows may be long past.
for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failure, ({ target }) => {
    target.querySelectorAll("[data-not-renewed]").forEach((note) => (note.hidden = false));
  });
}
