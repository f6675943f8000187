// Shows each time in the reader's zone. Without this script it reads in UTC, as the server wrote it.
(() => {
  const day = { day: "numeric", month: "short" };
  const minute = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const second = { ...minute, second: "2-digit" };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const forms = Object.fromEntries(
    Object.entries({
      second: { ...day, year: "numeric", ...second },
      minute: { ...day, year: "numeric", ...minute },
      short: { ...day, ...second },
      day: { ...day, ...minute },
      hour: minute,
    }).map(([name, options]) => [name, new Intl.DateTimeFormat("en-GB", options)]),
  );
  const inWords = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

  function ago(moment) {
    const seconds = Math.round((moment - Date.now()) / 1000);
    const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
    return Math.abs(seconds) < 5 ? "now" : inWords.format(Math.trunc(seconds / length), unit);
  }

  function local(form, moment) {
    return forms[form].format(moment).replace(",", "");
  }

  function show(element) {
    const moment = new Date(element.dateTime);
    const form = element.dataset.when;
    if (!element.dataset.utc) {
      element.dataset.utc = element.title;
      if (zone !== "UTC") element.title = `${local("second", moment)} in ${zone}, ${element.title}`;
    }
    element.textContent = form === "ago" ? ago(moment) : local(form, moment);
  }

  function showAll(root, which = "time[data-when]") {
    root.querySelectorAll(which).forEach(show);
  }

  // Unfold draws charts when the page has loaded; until then their labels are moments.
  function showOnAxis(canvas) {
    const chart = JSON.parse(canvas.dataset.value);
    const moments = chart.labels.map((label) => new Date(label));
    const form = moments.at(-1) - moments[0] <= 25 * 3_600_000 ? "hour" : "day";
    chart.labels = moments.map((moment) => local(form, moment));
    canvas.dataset.value = JSON.stringify(chart);
  }

  document.addEventListener("DOMContentLoaded", () => {
    showAll(document);
    document.querySelectorAll("canvas.chart").forEach(showOnAxis);
    document.querySelectorAll("[data-zone]").forEach((name) => (name.textContent = zone));
  });
  // What htmx put into the page later.
  document.addEventListener("htmx:load", (event) => showAll(event.target));
  setInterval(() => showAll(document, 'time[data-when="ago"]'), 10_000);
})();
