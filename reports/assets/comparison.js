/* The identity as stacked bars: what is meaning, what is A's rounding, what is B's. */

document.addEventListener("DOMContentLoaded", async () => {
  const { identity } = await chunk("charts");
  const names = { semantics: "semantics", rounding_a: "rounding(a)", rounding_b: "rounding(b)" };
  const traces = Object.entries(identity.parts).map(([part, values], n) => (
    { type: "bar", name: names[part], x: identity.labels, y: values, marker: { color: CYCLE[[1, 0, 5][n]] } }
  ));
  drawChart(document.getElementById("identity"), traces, {
    barmode: "stack",
    yaxis: { title: { text: "norm" }, type: "log", exponentformat: "power" },
    xaxis: { tickangle: -30, automargin: true },
    height: 380,
  });
});
