/* The plots of an operation: error against input, and how the signed errors are spread. */

/** Draw the curves and, where the inputs span many decades, offer a closer look at those that networks see. */
function curveFigure(entries) {
  const node = h("div", { class: "chart", role: "img", "aria-label": "Largest error against input" });
  const xs = entries.flatMap((entry) => entry.curve.x);
  const sizes = xs.filter((x) => x !== 0).map(Math.abs);
  const [smallest, largest] = sizes.length ? extent(sizes) : [1, 1];
  const whole = { text: "whole range", xs, linear: 10 ** Math.floor(Math.log10(smallest)) };
  const near = { text: "10⁻³ to 10³", xs: [-1000, 1000].filter((x) => xs.some((other) => Math.sign(other) === Math.sign(x))), linear: 1e-3 };
  const views = smallest < 1e-4 && largest > 10 ? [whole, near] : [whole];
  const buttons = views.map((view) => h("button", {
    type: "button", "aria-pressed": String(view === whole),
    click: (event) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
      drawCurves(node, entries, view);
    },
  }, view.text));
  const figure = h("figure", {}, h("figcaption", {}, "Largest error against the input", views.length > 1 ? h("span", { class: "views" }, buttons) : null), node);
  return { figure, draw: () => drawCurves(node, entries, whole) };
}

function drawCurves(node, entries, view) {
  const scale = symlog(view.xs, view.linear, node.clientWidth);
  const floor = 1e-2;
  const [, top] = extent([1, ...entries.flatMap((entry) => entry.curve.max_ulp)]);
  const traces = entries.map((entry, n) => ({
    type: "scatter", mode: "lines+markers", name: escapeLabel(columnName(index.columns[entry.column])), line: seriesStyle(n),
    marker: {
      size: entry.curve.max_ulp.map((e) => (e === null ? 9 : 3)), line: { width: 0 },
      symbol: entry.curve.max_ulp.map((e) => (e === null ? "x" : "circle")),
    },
    x: entry.curve.x.map(scale.place), y: entry.curve.max_ulp.map((e) => (e === null ? top * 3 : Math.max(e, floor))),
    text: entry.curve.x.map((x, i) => `${x}: ${entry.curve.max_ulp[i] === null ? "NaN or infinity out of place" : `${brief(entry.curve.max_ulp[i])} ulp`}`),
    hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
  }));
  const [low, high] = extent([0, ...view.xs.map(scale.place)]);
  const margin = 0.02 * (high - low);
  drawChart(node, traces, {
    xaxis: {
      title: { text: "input, logarithmic on both sides of zero" }, tickvals: scale.tickvals, ticktext: scale.ticktext, zeroline: true,
      range: [low - margin, high + margin],
    },
    yaxis: { title: { text: "ulp" }, type: "log", exponentformat: "power", dtick: top > 1e4 ? undefined : 1 },
    shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0.5, y1: 0.5, line: { color: "#808080", width: 1, dash: "dot" } }],
    showlegend: true,
  });
}

function histogramFigure(entries) {
  const node = h("div", { class: "chart", role: "img", "aria-label": "Distribution of signed errors" });
  return { figure: h("figure", {}, h("figcaption", {}, "Signed errors, share of the elements"), node), draw: () => drawHistogram(node, entries) };
}

function drawHistogram(node, entries) {
  const edges = entries.flatMap((entry) => occupied(entry.histogram));
  const scale = symlog(edges, 0.5, node.clientWidth);
  const traces = entries.map((entry, n) => {
    const { edges: bounds, counts } = entry.histogram;
    const total = counts.reduce((a, b) => a + b, 0);
    const places = bounds.map(scale.place);
    return {
      type: "scatter", mode: "lines", name: escapeLabel(columnName(index.columns[entry.column])), line: { ...seriesStyle(n), shape: "hv" },
      x: places, y: [...counts, counts.at(-1)].map((count) => (count ? count / total : null)), connectgaps: false,
      text: [...counts.map((count, i) => `${brief(bounds[i])} to ${brief(bounds[i + 1])} ulp: ${Math.round(count)} of ${Math.round(total)}`), ""],
      hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
    };
  });
  const [low, high] = extent(edges.map(scale.place));
  drawChart(node, traces, {
    xaxis: { title: { text: "signed error, ulp" }, tickvals: scale.tickvals, ticktext: scale.ticktext, range: [low - 0.1, high + 0.1], zeroline: true },
    yaxis: { type: "log", exponentformat: "power", dtick: 1 },
    showlegend: true,
  });
}

/** The edges of the bins that hold something. */
function occupied({ edges, counts }) {
  return counts.flatMap((count, n) => (count ? [edges[n], edges[n + 1]] : []));
}

/** Plotly reads a little markup in names; a name is text. */
function escapeLabel(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
