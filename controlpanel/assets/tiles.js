// Exchanges as tiles: typing narrows them, Enter takes the first one, arrows choose among the rest.
document.addEventListener("DOMContentLoaded", () => {
  for (const search of document.querySelectorAll("[data-searches]")) {
    const tiles = search.closest(".panel-exchanges");
    const found = tiles.querySelector("[data-found]");
    const rows = [...tiles.querySelectorAll(".panel-exchange")];
    const groups = [...tiles.querySelectorAll(".panel-exchange-group")];
    const wasOpen = new Map(groups.map((group) => [group, group.open]));
    const plain = (text) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
    const shown = () => rows.filter((tile) => !tile.hidden);

    search.addEventListener("input", () => {
      const words = plain(search.value);
      for (const tile of rows) tile.hidden = !plain(`${tile.title} ${tile.innerText}`).includes(words);
      for (const group of groups) {
        group.hidden = !group.querySelector(".panel-exchange:not([hidden])");
        if (group.matches("details")) group.open = words ? true : wasOpen.get(group);
      }
      const count = shown().length;
      found.textContent = `${count} exchange${count === 1 ? "" : "s"}`;
    });
    search.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || !["Enter", "ArrowDown"].includes(event.key)) return;
      event.preventDefault(); // Enter would send the form
      const first = shown()[0]?.querySelector("input");
      if (!first) return;
      first.focus();
      if (first.checked) return;
      first.checked = true;
      first.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
});
