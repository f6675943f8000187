// A value that is entered is to be changed: tick its box, also for a value entered before this script ran.
for (const row of document.querySelectorAll("[data-change]")) {
  const tick = row.querySelector("[name=change]");
  const field = row.querySelector("input:not([name=change]), textarea");
  // A box's value is "on" whether or not it is ticked.
  const [now, before] = field?.type === "checkbox" ? ["checked", "defaultChecked"] : ["value", "defaultValue"];
  if (field && field[now] !== field[before]) tick.checked = true;
  for (const kind of ["input", "change"]) {
    row.addEventListener(kind, (event) => {
      if (event.target !== tick) tick.checked = true;
    });
  }
}
