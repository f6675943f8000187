// Unfold opens its menus, filters and sidebar by clicks on what no keyboard reaches, and has icons read out as words.
document.addEventListener("DOMContentLoaded", () => {
  // What shows nothing but an icon, and what it does; and what parts of a page are.
  const names = {
    "#nav-sidebar-inner": "Main",
    "#tabs-items": "Related lists",
    "#tabs-dropdown": "More related lists",
    "[x-on\\:click^='openTabsDropdown =']": "More related lists",
    "#searchbar-submit": "Search",
    "[x-on\\:click^='showActions =']": "More actions",
    "[x-on\\:click^='sidebar']": "Show or hide the menu",
    "[x-on\\:click^='openTheme =']": "Change color theme",
    "[x-on\\:click^='openRelatedWidgetWrapper =']": "Add, change or view the selected object",
    "[x-on\\:click^='showPassword =']": "Show or hide password",
  };

  function press(event) {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.currentTarget.click();
  }

  function reach(part) {
    for (const icon of part.querySelectorAll(".material-symbols-outlined")) {
      if (!icon.hasAttribute("x-on:click")) icon.ariaHidden = "true";
    }
    for (const kind of ["a:not([href])", "div:not([id])", "span"]) {
      for (const element of part.querySelectorAll(`${kind}[x-on\\:click]`)) {
        element.role = "button";
        element.tabIndex = 0;
        element.addEventListener("keydown", press);
      }
    }
    for (const [selector, name] of Object.entries(names)) {
      part.querySelectorAll(selector).forEach((element) => (element.ariaLabel = name));
    }
  }

  reach(document);
  // Content that htmx adds later. htmx sends the same event for the whole page, which is done already.
  document.addEventListener("htmx:load", ({ target }) => target !== document.body && reach(target));

  // Where the filters lie over the page, they keep the focus until they are closed, and then give it back.
  const filters = document.getElementById("changelist-filter");
  const opener = document.querySelector("[x-on\\:click^='filterOpen = true']");
  if (filters && opener) {
    const stops = () => [...filters.querySelectorAll("a[href], button, input, select, [role=button]")]
      .filter((element) => element.checkVisibility());
    filters.ariaLabel = "Filters";
    filters.role = "group";
    let shown = filters.checkVisibility();
    new MutationObserver(() => {
      if (filters.checkVisibility() === shown) return;
      shown = !shown;
      filters.role = shown ? "dialog" : "group";
      (shown ? stops()[0] : opener)?.focus();
    }).observe(filters, { attributeFilter: ["style"] });
    filters.addEventListener("keydown", (event) => {
      if (getComputedStyle(filters).position !== "fixed") return;
      const [first, last] = [stops().at(0), stops().at(-1)];
      if (event.key !== "Tab" || event.target !== (event.shiftKey ? first : last)) return;
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    });
  }
  // Read by Simplebar, which calls every part that scrolls the same.
  document.getElementById("nav-sidebar-apps")?.setAttribute("data-simplebar-aria-label", "Menu");
});

// "?" lists the shortcuts, unless it is typed into something; and so does a button in the search.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable=true]");
  if (event.key !== "?" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!document.querySelector("dialog[open]")) document.getElementById("shortcuts")?.showModal();
});
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-shortcuts]");
  if (!button) return;
  button.closest("dialog").close();
  document.getElementById("shortcuts").showModal();
});

// Unfold shows the page only when its scripts have begun, which is too late for the browser's own `autofocus`.
document.addEventListener("alpine:initialized", () => {
  requestAnimationFrame(() => {
    if (document.activeElement === document.body) document.querySelector("main [autofocus]")?.focus();
  });
});
