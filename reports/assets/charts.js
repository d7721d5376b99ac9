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

/** A scale that is logarithmic on both sides of zero and linear within `linear` of it, with its ticks. */
function symlog(values, linear) {
  const low = values.reduce((a, b) => Math.min(a, b), 0), high = values.reduce((a, b) => Math.max(a, b), 0);
  const decades = Math.log10(Math.max(-low, high, linear) / linear);
  // Zero keeps its room, however many decades there are.
  const room = Math.max(1, 0.05 * decades);
  const place = (x) => Math.sign(x) * (Math.abs(x) <= linear ? (room * Math.abs(x)) / linear : room + Math.log10(Math.abs(x) / linear));
  const first = Math.ceil(Math.log10(linear) - 1e-9);
  const last = Math.floor(Math.log10(Math.max(-low, high, linear)) + 1e-9);
  const sides = (low < 0 && high > 0) ? 2 : 1;
  const step = Math.max(1, Math.ceil(((last - first + 1) * sides) / 9));
  const powers = [];
  for (let power = last; power >= first + (first < last ? step / 2 : 0); power -= step) powers.unshift(power);
  const ticks = [
    ...powers.toReversed().map((p) => [-(10 ** p), `−${powerLabel(p)}`]).filter(([x]) => x >= low),
    [0, "0"],
    ...powers.map((p) => [10 ** p, powerLabel(p)]).filter(([x]) => x <= high),
  ];
  return { place, tickvals: ticks.map(([x]) => place(x)), ticktext: ticks.map(([, text]) => text) };
}

function powerLabel(power) {
  return Math.abs(power) <= 2 ? String(+(10 ** power).toPrecision(1)) : `10<sup>${power}</sup>`;
}

/** Draw `traces` into `node` and keep them in the page's colours. */
async function drawChart(node, traces, layout) {
  const Plotly = await plotly();
  const draw = () => {
    if (node.isConnected) Plotly.react(node, traces, { ...themed(layout) }, {
      responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    });
    else document.removeEventListener("themechange", draw);
  };
  document.addEventListener("themechange", draw);
  draw();
}

function themed(layout) {
  const ink = cssColour("--ink"), faint = cssColour("--line"), paper = cssColour("--card");
  const axis = { gridcolor: faint, linecolor: faint, zerolinecolor: faint, tickcolor: faint, tickangle: 0 };
  return {
    autosize: true,
    margin: { l: 62, r: 16, t: 12, b: 90 },
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
