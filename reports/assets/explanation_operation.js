/* The page of one operation, at #node=17: its part in the error, its arrays, its attributes, and a script of its call. */

/** Three significant digits; a dash for what was not measured. */
function figure(value) {
  if (value === null || value === undefined || value === "nan") return "–";
  return typeof value === "number" ? String(+value.toPrecision(3)) : String(value);
}

function operationLink(index, nodes) {
  return index === undefined ? null : h("a", { href: `#node=${index}` }, `${nodes[index].op} (${index})`);
}

function arrayRows(ids, details, others) {
  return ids.map((id) => {
    const a = details.arrays[id];
    const what = [a.name || a.role, a.nonfinite ? ` with ${a.nonfinite} not finite` : ""];
    const cells = [a.minimum, a.maximum, a.mean, a.largest].map((x) => h("td", { class: "num" }, figure(x)));
    return h("tr", a.nonfinite ? { class: "accused" } : {}, h("td", {}, `${id}`), h("td", {}, what), h("td", {}, `${a.format}[${a.shape}]`), ...cells,
      h("td", { class: "num" }, String(a.nonfinite)), h("td", {}, others(id)));
  });
}

function arrayTable(title, last, rows) {
  if (rows.length === 0) return null;
  const heads = ["array", "what", "format", "min", "max", "mean", "max |x|", "not finite", last];
  return [h("h2", {}, title), h("div", { class: "scroller" }, h("table", { class: "nodes" },
    h("thead", {}, h("tr", {}, heads.map((text) => h("th", {}, text)))), h("tbody", {}, rows)))];
}

function operationFacts(n, total) {
  const share = typeof total === "number" && total !== 0 ? ` (${((100 * n.contribution) / total).toFixed(1)} % of the total)` : "";
  const rows = [
    ["layer", n.scope || "the model"], ["phase", n.phase + (n.time_step === null ? "" : `, time step ${n.time_step}`)], ["where", n.source || "–"],
    ["format", `${n.format}, ${n.elements} elements, magnitude ${figure(n.magnitude)}`],
    ["contribution", figure(n.contribution) + share], ["made here", `${figure(n.local_error)} (root mean square)`],
    ["inherited", figure(n.inherited_error)], ["amplified", `${figure(n.condition)} times, relative errors`],
    ["budget used", `${figure(n.budget_used)} of the rounding budget; ${figure(n.budget_worst)} at the worst element${n.accused ? ": more than any rounding" : ""}`],
    ["decisions", n.flips ? `${n.flips} turned, which did ${figure(n.jump)}` : "none turned"],
  ];
  if (n.self_referenced) rows.push(["truth", "none: no lowering, its own result stands for its meaning"]);
  return h("dl", {}, rows.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
}

function operationPage(n, nodes, details, total) {
  const makers = new Map(), readers = new Map();
  for (const [index, ids] of Object.entries(details.makes || {})) for (const id of ids) makers.set(id, Number(index));
  for (const [index, ids] of Object.entries(details.reads || {})) for (const id of ids) readers.set(id, [...(readers.get(id) || []), Number(index)]);
  const made = (id) => operationLink(makers.get(id), nodes);
  const read = (id) => (readers.get(id) || []).slice(0, 6).flatMap((index, k) => [k ? ", " : "", operationLink(index, nodes)]);
  const known = details.arrays && details.reads && details.reads[n.index];
  const script = details.scripts && details.scripts[n.index];
  const turn = (index, text) => (nodes[index] ? h("a", { href: `#node=${index}` }, text) : null);
  return [
    h("p", { class: "beside" }, h("a", { href: "#" }, "All operations"), h("span", {}, turn(n.index - 1, "before"), " ", turn(n.index + 1, "after"))),
    h("h1", { tabindex: -1 }, n.op), operationFacts(n, total),
    known ? arrayTable("What it read", "made by", arrayRows(details.reads[n.index], details, made)) : null,
    known ? arrayTable("What it made", "read by", arrayRows(details.makes[n.index], details, read)) : null,
    known ? [h("h2", {}, "Attributes"), h("pre", {}, attributesText(details.attributes[n.index]))] : null,
    script ? [h("h2", {}, "Run this operation alone"), h("div", { class: "script" }, copyButton(script), h("pre", { id: "script" }, script))] : null,
  ];
}

/** One attribute on a line; arrays by their number. */
function attributesText(attributes) {
  const lines = Object.entries(attributes).map(([name, value]) => `${name} = ${JSON.stringify(value).replace(/\{"value":(\d+)\}/g, "array $1")}`);
  return lines.join("\n");
}

async function route() {
  const match = /^#node=(\d+)$/.exec(location.hash);
  const holder = document.getElementById("operation");
  const [nodes, details, charts] = await Promise.all([chunk("nodes"), chunk("details"), chunk("charts")]);
  const node = match && nodes.find((n) => n.index === Number(match[1]));
  holder.hidden = !node;
  document.getElementById("overview").hidden = Boolean(node);
  holder.replaceChildren(...(node ? operationPage(node, nodes, details, charts.waterfall.total).flat(Infinity).filter(Boolean) : []));
  if (node) {
    scrollTo(0, 0);
    holder.querySelector("h1").focus({ preventScroll: true });
  }
  document.documentElement.dataset.ready = "";
}

addEventListener("hashchange", route);
document.addEventListener("DOMContentLoaded", route);
