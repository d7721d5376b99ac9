/* The identity as stacked bars: what is meaning, what is A's rounding, what is B's; the drift of loss and weights. */

const PART_NAMES = { semantics: "semantics", rounding_a: "rounding(a)", rounding_b: "rounding(b)", difference: "a − b" };
const PART_COLOURS = { semantics: CYCLE[1], rounding_a: CYCLE[0], rounding_b: CYCLE[5], difference: CYCLE[2] };

/** One bar for each target, the largest on top; side by side on a logarithmic scale, where small parts can be seen. */
function drawIdentity(node, identity, logarithmic) {
  const places = identity.labels.map((_, n) => n);
  const traces = Object.entries(identity.parts).map(([part, values]) => ({
    type: "bar", orientation: "h", name: PART_NAMES[part], x: values, y: places, customdata: identity.names,
    hovertemplate: "%{customdata}<br>%{x:.3g}", marker: { color: PART_COLOURS[part] },
  }));
  drawChart(node, traces, {
    barmode: logarithmic ? "group" : "stack",
    xaxis: { title: { text: "norm" }, type: logarithmic ? "log" : "linear", exponentformat: "power", nticks: 6,
      ...(logarithmic ? {} : { rangemode: "tozero" }) },
    yaxis: { tickvals: places, ticktext: identity.labels, autorange: "reversed" },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    margin: { l: 62, r: 16, t: 34, b: 44 },
    height: node.clientHeight,
  });
}

function drawDrift(node, lines) {
  drawChart(node, lines.map((line) => ({
    type: "scatter", mode: "lines+markers", x: line.x, y: line.y, name: PART_NAMES[line.part],
    line: { color: PART_COLOURS[line.part], dash: line.part === "difference" ? "dot" : "solid" },
  })), {
    yaxis: { title: { text: "norm" }, type: "log", exponentformat: "power", dtick: 1 },
    xaxis: { title: { text: "step" }, ...(lines[0].x.length < 12 ? { dtick: 1 } : {}) },
    height: 320,
  });
}

document.addEventListener("DOMContentLoaded", async () => {
  const { identity, drift } = await chunk("charts");
  const bars = document.getElementById("identity"), scale = document.getElementById("scale");
  scale.addEventListener("click", () => {
    const pressed = scale.getAttribute("aria-pressed") !== "true";
    scale.setAttribute("aria-pressed", pressed);
    scale.textContent = pressed ? "Stacked, linear" : "Side by side, logarithmic";
    drawIdentity(bars, identity, pressed);
  });
  drawIdentity(bars, identity, false);
  for (const kind of ["loss", "parameters"]) {
    const place = document.getElementById(`drift-${kind}`), lines = drift.filter((line) => line.kind === kind);
    if (place && lines.length) drawDrift(place, lines);
    else place?.parentElement.remove();
  }
  // Both lists open where the meaning parts.
  document.querySelectorAll("[data-first]").forEach((node) => {
    node.parentElement.scrollTop = node.offsetTop - 60;
  });
  document.documentElement.dataset.ready = "";
});
