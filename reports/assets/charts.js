/* Charts in the page's own colours: plotly is unpacked when the first one is drawn, and axes run through zero. */

// Okabe and Ito's palette, told apart with any colour vision; the dash tells the second round apart.
const CYCLE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7f7f7f"];
const DASHES = ["solid", "dot", "dash", "dashdot"];

let plotlyReady;

function plotly() {
  plotlyReady ??= chunkText("plotly").then((source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    return window.Plotly;
  });
  return plotlyReady;
}

/** Colour and dash of the n-th series. */
function seriesStyle(n) {
  return { color: CYCLE[n % CYCLE.length], dash: DASHES[Math.floor(n / CYCLE.length) % DASHES.length], width: 1.6 };
}

function cssColour(name) {
  const probe = h("span", { style: `color: var(${name})`, hidden: true });
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** Smallest and largest of `values`, however many; null counts as nothing. */
function extent(values) {
  const known = values.filter((value) => value !== null);
  return [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
}

/** A scale that is logarithmic on both sides of zero and linear within `linear` of it, with ticks for `width` pixels. */
function symlog(values, linear, width) {
  const [low, high] = extent([0, ...values]);
  const reach = Math.max(-low, high, linear);
  // Zero keeps its room, however many decades there are.
  const room = Math.max(1, 0.05 * Math.log10(reach / linear));
  const place = (x) => Math.sign(x) * (Math.abs(x) <= linear ? (room * Math.abs(x)) / linear : room + Math.log10(Math.abs(x) / linear));
  const gap = ((place(high) - place(low)) * 46) / Math.max(width, 200);
  const powers = [];
  for (let power = Math.floor(Math.log10(reach) + 1e-9); power >= Math.log10(linear) - 1e-9; power -= 1) {
    const size = place(10 ** power);
    if (size > gap && (powers.length === 0 || place(10 ** powers[0]) - size > gap)) powers.unshift(power);
  }
  const ticks = [[0, "0"], ...powers.flatMap((p) => [[10 ** p, powerLabel(p)], [-(10 ** p), `−${powerLabel(p)}`]])]
    .filter(([x]) => x >= low && x <= high);
  return { place, tickvals: ticks.map(([x]) => place(x)), ticktext: ticks.map(([, text]) => text) };
}

function powerLabel(power) {
  return Math.abs(power) <= 2 ? String(+(10 ** power).toPrecision(1)) : `10<sup>${power}</sup>`;
}

/** Draw `traces` into `node`, in the page's colours also when these change. */
async function drawChart(node, traces, layout) {
  const Plotly = await plotly();
  node.redraw = () => Plotly.react(node, traces, themed(layout), {
    responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  });
  if (node.isConnected) node.redraw();
}

document.addEventListener("themechange", () => {
  for (const node of document.querySelectorAll(".chart")) node.redraw?.();
});

function themed(layout) {
  const ink = cssColour("--ink"), faint = cssColour("--line"), paper = cssColour("--card");
  const axis = { gridcolor: faint, linecolor: faint, zerolinecolor: faint, tickcolor: faint, tickangle: 0, automargin: true };
  return {
    autosize: true,
    margin: { l: 62, r: 16, t: 12, b: 70 },
    paper_bgcolor: paper,
    plot_bgcolor: paper,
    font: { color: ink, family: "system-ui, sans-serif", size: 12 },
    hoverlabel: { bgcolor: paper, bordercolor: faint, font: { color: ink } },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
    hovermode: "closest",
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}
