// Fields for secrets: they can be shown while they are entered, pasted with a tap, and a blank inside is found before
// anything is sent.
(() => {
  document.documentElement.classList.add("has-scripts");
  if (navigator.clipboard?.readText) document.documentElement.classList.add("can-paste");
  // A key in a file has lines, and a wallet's key may be its seed phrase: see accounts/keys.py.
  const LONGER = /-----BEGIN|^[a-z]+(?: [a-z]+){11}(?:(?: [a-z]+){12})?$/;
  const parts = (field) => field.closest(".panel-secret");
  const isBroken = (field) => /\s/.test(field.value.trim()) && !LONGER.test(field.value.trim());

  function check(field) {
    const broken = isBroken(field);
    parts(field).querySelector("[data-broken]").hidden = !broken;
    field.toggleAttribute("aria-invalid", broken);
  }

  document.addEventListener("input", ({ target }) => target.matches?.("input[data-unbroken]") && check(target));

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-shows], [data-pastes]");
    if (!button) return;
    const field = parts(button).querySelector("input");
    if (button.matches("[data-shows]")) {
      const shown = field.type === "password";
      field.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", shown);
      return;
    }
    try {
      field.value = (await navigator.clipboard.readText()).trim();
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    } finally {
      field.focus(); // Where the browser does not allow it, the keys and the menu for pasting work here.
    }
  });

  document.addEventListener("submit", (event) => {
    const broken = [...event.target.querySelectorAll("input[data-unbroken]")].find(isBroken);
    if (!broken) return;
    event.preventDefault();
    check(broken);
    broken.focus();
  });
})();
