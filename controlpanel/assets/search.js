// The search over the page: by its buttons, and by Ctrl+K from anywhere. Enter opens what is chosen, which is the first
// result unless the arrow keys choose another one.
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.getElementById("search");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const results = document.getElementById("search-results");
  const options = () => [...results.querySelectorAll("[role=option]")];
  let found = ""; // what the results are for
  let request;
  let timer;

  const term = () => input.value.trim();

  function choose(option) {
    for (const each of options()) each.ariaSelected = String(each === option);
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  function show(html, wanted) {
    results.innerHTML = html;
    found = wanted;
    input.ariaExpanded = String(options().length > 0);
    choose(options()[0]);
  }

  async function find() {
    clearTimeout(timer);
    request?.abort();
    const wanted = term();
    if (wanted === found) return;
    if (!wanted) return show("", "");
    request = new AbortController();
    try {
      const answer = await fetch(`${dialog.dataset.url}?s=${encodeURIComponent(wanted)}`, { signal: request.signal });
      // Somebody whose session has ended is sent to the page to sign in.
      if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
      show(await answer.text(), wanted);
    } catch (error) {
      if (error.name !== "AbortError") show(dialog.querySelector("template").innerHTML, "");
    }
  }

  function open() {
    if (document.querySelector("dialog[open]")) return;
    dialog.showModal();
    input.select();
  }

  document.addEventListener("click", ({ target }) => target.closest("[data-search]") && open());
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, 150);
  });
  input.addEventListener("keydown", async (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const all = options();
      const now = all.findIndex((option) => option.ariaSelected === "true");
      choose(all[(now + step + all.length) % all.length]);
    } else if (event.key === "Escape") {
      // The browser's own would empty the field first.
      event.preventDefault();
      dialog.close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const inTab = event.ctrlKey || event.metaKey;
      // Not what was found for the first letters of what is there now.
      await find();
      const chosen = term() === found && options().find((option) => option.ariaSelected === "true");
      if (chosen) inTab ? window.open(chosen.href, "_blank") : location.assign(chosen.href);
    }
  });
});
