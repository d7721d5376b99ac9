/* The identity as stacked bars: what is meaning, what is A's rounding, what is B's. */

document.addEventListener("DOMContentLoaded", async () => {
  const { identity, drift } = await chunk("charts");
  const names = { semantics: "semantics", rounding_a: "rounding(a)", rounding_b: "rounding(b)" };
  const traces = Object.entries(identity.parts).map(([part, values], n) => (
    { type: "bar", name: names[part], x: identity.labels, y: values, marker: { color: CYCLE[[1, 0, 5][n]] } }
  ));
  drawChart(document.getElementById("identity"), traces, {
    barmode: "stack",
    yaxis: { title: { text: "norm" }, rangemode: "tozero", exponentformat: "e" },
    xaxis: { tickangle: -30, automargin: true },
    height: 380,
  });
  const place = document.getElementById("drift");
  if (place) {
    const parts = Object.keys(names).concat("difference");
    drawChart(place, drift.map((line) => ({
      type: "scatter", mode: "lines+markers", x: line.x, y: line.y,
      name: `${line.kind === "parameters" ? "weights" : line.kind}: ${names[line.part] || "a − b"}`,
      line: { dash: line.kind === "loss" ? "dot" : "solid", color: CYCLE[[1, 0, 5, 2][parts.indexOf(line.part)]] },
    })), {
      yaxis: { title: { text: "norm" }, type: "log", exponentformat: "power" },
      xaxis: { title: { text: "step" }, dtick: 1 },
      height: 380,
    });
  }
  // Both lists open where the meaning parts.
  document.querySelectorAll("[data-first]").forEach((node) => {
    node.parentElement.scrollTop = node.offsetTop - node.parentElement.offsetTop - 60;
  });
});
