// Forms: where the keyboard is when a page opens, and how it continues. A form that was refused starts at its first
// mistake, a form that is filled in from the start at its first field.
(() => {
  const FIELDS = "input:not([type=hidden]), select, textarea";
  const usable = (element) => !element.disabled && element.checkVisibility({ visibilityProperty: true });

  // A link to a field leads into it: what is folded away opens, and of radio buttons the chosen one has the keyboard.
  function enter(target) {
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    const inside = [...target.querySelectorAll(FIELDS)].filter(usable);
    const field = target.matches(FIELDS) ? target : inside.find((input) => input.checked) || inside[0] || target;
    field.focus({ preventScroll: true });
    (field.closest(".form-row, .group") || field).scrollIntoView({ block: "center" });
  }

  function begin() {
    const summary = document.getElementById("error-summary");
    if (summary) {
      const link = summary.querySelector("a[href^='#']");
      const field = link && document.getElementById(link.hash.slice(1));
      return field ? enter(field) : summary.focus();
    }
    if (location.hash || document.activeElement !== document.body) return;
    // A link that continues has nothing to fill in before it. A button does something, so it waits to be found.
    const onward = document.querySelector("a[data-continues]");
    if (onward) return onward.focus({ preventScroll: true });
    const wizard = document.querySelector("form[data-wizard]");
    const form = wizard || (location.pathname.endsWith("/add/") && document.querySelector("#content-main > form"));
    const first = form && [...form.querySelectorAll(FIELDS)].filter(usable)[0];
    if (first) {
      const chosen = first.closest("[role=radiogroup]")?.querySelector(":checked");
      (chosen || first).focus({ preventScroll: true });
    } else if (wizard) {
      document.getElementById("lead")?.focus({ preventScroll: true });
    }
  }

  document.addEventListener("DOMContentLoaded", begin);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#error-summary a[href^='#']");
    const field = link && document.getElementById(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    enter(field);
  });

  // Ctrl+Enter continues from anywhere in a step, and saves a form, also out of a text of several lines.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const step = document.activeElement.closest("form[data-wizard]") || document;
    const onward = [...step.querySelectorAll("[data-continues]")].find(usable);
    // Unfold has a form's buttons outside of it.
    const button = onward || document.activeElement.form?.elements.namedItem("_save");
    if (!button) return;
    event.preventDefault();
    button.click();
  });
})();
