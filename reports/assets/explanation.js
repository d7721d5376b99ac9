/* The charts of an explanation: a waterfall of contributions, sums by operation, lines by time step. */

function bars(node, data) {
  const values = [...data.values].reverse(), labels = [...data.labels].reverse();
  const colours = values.map((value) => (value < 0 ? CYCLE[0] : CYCLE[1]));
  drawChart(node, [{ type: "bar", orientation: "h", x: values, y: labels, marker: { color: colours } }], {
    xaxis: { title: { text: "contribution" }, exponentformat: "e" },
    yaxis: { automargin: true },
    height: Math.max(340, 24 * values.length + 90),
    showlegend: false,
  });
}

document.addEventListener("DOMContentLoaded", async () => {
  const charts = await chunk("charts");
  const fall = charts.waterfall;
  drawChart(document.getElementById("waterfall"), [{
    type: "waterfall",
    x: [...fall.labels, "total"],
    y: [...fall.values, fall.total],
    measure: [...fall.values.map(() => "relative"), "total"],
    increasing: { marker: { color: CYCLE[1] } },
    decreasing: { marker: { color: CYCLE[0] } },
    totals: { marker: { color: CYCLE[7] } },
  }], { xaxis: { tickangle: -40, automargin: true }, yaxis: { title: { text: "error" }, exponentformat: "e" }, height: 420, showlegend: false });
  bars(document.getElementById("by-op"), charts.op);
  const steps = Object.entries(charts.time_step);
  document.getElementById("steps-part").hidden = steps.length === 0;
  if (steps.length > 0) {
    drawChart(document.getElementById("by-step"), steps.map(([phase, line], n) => (
      { type: "scatter", mode: "lines+markers", name: phase, x: line.x, y: line.y, line: seriesStyle(n) }
    )), { xaxis: { title: { text: "time step" } }, yaxis: { title: { text: "contribution" }, exponentformat: "e" }, height: 340 });
  }
});
