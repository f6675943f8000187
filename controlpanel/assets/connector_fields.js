// An exchange decides which fields its key has: choosing one fetches them into the page. The keyboard stays where it is,
// and what was typed stays in the fields that both exchanges have. Nothing that was typed goes into the address.
document.addEventListener("DOMContentLoaded", () => {
  const chooser = document.querySelector("[data-chooses-fields]");
  if (!chooser) return;
  const form = chooser.closest("form");
  const status = document.createElement("p");
  status.className = "panel-unseen";
  status.setAttribute("role", "status");
  form.append(status);
  // A person who types already goes on typing in the same place. Where the field is gone, the exchange has the focus.
  function keepFocus(focused, fresh) {
    const same = fresh.querySelector(`[name="${CSS.escape(focused.name)}"]`);
    (same ?? form.querySelector("select[name=connector], [name=connector]:checked"))?.focus();
    if (same?.setSelectionRange && focused.selectionStart !== null) {
      same.setSelectionRange(focused.selectionStart, focused.selectionEnd);
    }
  }

  let newest = 0;
  let waiting;

  async function load() {
    const chosen = new FormData(form);
    if (!chosen.get("connector")) return;
    const number = ++newest;
    const address = new URL(window.location.href);
    for (const name of ["connector", "client"]) if (chosen.get(name)) address.searchParams.set(name, chosen.get(name));
    const part = () => form.querySelector(".connector-fields");
    part().setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address);
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".connector-fields");
      if (number !== newest) return;
      for (const field of fresh.querySelectorAll("input, select, textarea")) {
        const typed = part().querySelector(`[name="${CSS.escape(field.name)}"]`);
        if (typed && field.type !== "checkbox") field.value = typed.value;
      }
      const focused = part().contains(document.activeElement) ? document.activeElement : null;
      part().replaceWith(document.adoptNode(fresh));
      if (focused) keepFocus(focused, fresh);
      window.history.replaceState(null, "", address);
      const count = fresh.querySelectorAll("input, select, textarea").length;
      status.textContent = count ? `${count} fields for this exchange are below.` : "This exchange asks for no key.";
    } catch {
      part().removeAttribute("aria-busy");
      status.classList.remove("panel-unseen");
      status.textContent = "The fields could not be loaded. Choose the exchange again.";
    }
  }

  form.addEventListener("change", ({ target }) => {
    if (!["connector", "client"].includes(target.name)) return;
    clearTimeout(waiting);
    waiting = setTimeout(load, target.type === "radio" ? 150 : 0); // arrows pass over tiles
  });
});
