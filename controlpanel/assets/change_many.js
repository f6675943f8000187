// Whoever enters a value wants it changed: tick its box.
for (const row of document.querySelectorAll("[data-change]")) {
  const tick = row.querySelector("[name=change]");
  for (const kind of ["input", "change"]) {
    row.addEventListener(kind, (event) => {
      if (event.target !== tick) tick.checked = true;
    });
  }
}
