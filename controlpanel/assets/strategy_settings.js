// Each strategy has its own group of settings in the form: show the chosen one's, or the same as JSON. The switch
// between the two has the server turn one into the other, so that what was entered is seen in both.
document.addEventListener("DOMContentLoaded", () => {
  const strategy = document.querySelector("[name=strategy]");
  const asJson = document.querySelector("[data-converts-settings]");
  if (!strategy || !asJson) return;
  const form = strategy.form;
  const json = form.elements.settings_json;
  const jsonRow = json.closest(".form-row");
  const status = document.createElement("p");
  status.className = "panel-note is-warning";
  status.setAttribute("role", "status");
  status.hidden = true;
  asJson.closest("fieldset").append(status);

  const say = (text) => {
    status.textContent = text || "";
    status.hidden = !text;
  };
  const show = () => {
    for (const group of document.querySelectorAll("[class*=settings-of-]")) {
      group.hidden = asJson.checked || !group.classList.contains(`settings-of-${strategy.value}`);
    }
    for (const group of document.querySelectorAll("[class*=only-for-]")) {
      const isFilled = [...group.querySelectorAll("input")].some((field) => field.value);
      group.hidden = !isFilled && !group.classList.contains(`only-for-${strategy.value}`);
    }
    asJson.closest("fieldset").hidden = !strategy.value;
    jsonRow.hidden = !asJson.checked;
  };
  const takeOver = ({ json: text, note, fields, refused }) => {
    say(refused || note);
    if (refused) {
      asJson.checked = !asJson.checked;
    } else if (text !== undefined) {
      json.value = text;
      json.dispatchEvent(new Event("change"));
    } else {
      for (const [name, value] of Object.entries(fields)) {
        const field = form.elements[name];
        if (field.type === "checkbox") field.checked = value;
        else field.value = value;
      }
    }
  };
  asJson.addEventListener("change", async () => {
    try {
      const answer = await fetch(asJson.dataset.convertsSettings, { method: "POST", body: new FormData(form) });
      takeOver(await answer.json());
    } catch {
      takeOver({ refused: "The panel did not respond. Try again." });
    }
    show();
  });
  strategy.addEventListener("change", show);
  show();
});
