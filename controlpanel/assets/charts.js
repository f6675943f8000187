// Draws a bot's charts with uPlot, in the theme's colors. The table beside them has the same figures.
(() => {
  const source = document.getElementById("bot-charts");
  const HEIGHT = 220;
  let drawn = [];

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
        axes: [axis, { ...axis, size: 76, values: (_, ticks) => ticks.map(digits) }],
        series: [
          {},
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
              : { show: chart.times.length < 3, size: 5 },
          })),
        ],
      };
      place.replaceChildren();
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
