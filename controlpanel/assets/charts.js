// Draws a bot's charts with uPlot, in the theme's colors. The table beside them has the same figures.
(() => {
  const source = document.getElementById("bot-charts");
  const HEIGHT = 220;
  // A line of so few values has a mark for each: one that stands alone would not be seen.
  const FEW = 40;
  let drawn = [];

  const form = (options) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options });
  const hour = form({ hour: "2-digit", minute: "2-digit" });
  const day = form({ day: "numeric", month: "short" });
  const moment = form({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  // In the reader's zone, as all times of the panel. A day begins with its date.
  const ticks = (plot, seconds, axis, space, step) =>
    seconds.map((second) => {
      const at = new Date(second * 1000);
      return step >= 86400 || hour.format(at) === "00:00" ? day.format(at) : hour.format(at);
    });

  function draw() {
    drawn.forEach((plot) => plot.destroy());
    const styles = getComputedStyle(document.documentElement);
    const panel = getComputedStyle(document.querySelector(".panel"));
    const line = panel.getPropertyValue("--line");
    const quiet = panel.getPropertyValue("--quiet");
    const color = (number) => styles.getPropertyValue(`--panel-series-${number}`).trim();
    drawn = JSON.parse(source.textContent).charts.flatMap((chart) => {
      const place = document.querySelector(`[data-plot="${chart.id}"]`);
      if (!place) return [];
      const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
      const digits = (value) => (value == null ? "—" : Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 10 }));
      const options = {
        width: place.clientWidth,
        height: HEIGHT,
        cursor: { drag: { x: true, y: false } },
        axes: [{ ...axis, values: ticks }, { ...axis, size: 76, values: (_, ticks) => ticks.map(digits) }],
        series: [
          { label: "Time", value: (_, second) => (second == null ? "—" : moment.format(new Date(second * 1000))) },
          ...chart.series.map((series, number) => ({
            label: series.label,
            value: (_, value) => digits(value),
            // Between two prices there is a line although fills lie between them; a step without a report is a gap.
            spanGaps: chart.id === "price",
            stroke: series.points ? (series.label === "Buys" ? "#15803d" : "#dc2626") : color(number + 1),
            width: series.points ? 0 : 2,
            paths: series.points ? () => null : undefined,
            points: series.points
              ? { show: true, size: 7, fill: series.label === "Buys" ? "#15803d" : "#dc2626" }
              : { show: series.values.filter((value) => value != null).length < FEW, size: 5 },
          })),
        ],
      };
      place.replaceChildren();
      if (!chart.series.some((series) => series.values.some((value) => value != null))) {
        place.textContent = "Not measured in this period.";
        return [];
      }
      return [new uPlot(options, [chart.times, ...chart.series.map((series) => series.values)], place)];
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!source) return;
    draw();
    let width = document.body.clientWidth;
    addEventListener("resize", () => {
      if (document.body.clientWidth === width) return;
      width = document.body.clientWidth;
      draw();
    });
    // The theme's switch sets a class on the root element.
    new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  });
})();
