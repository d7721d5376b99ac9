/* The matrix: operations against candidates, its filters, its legend, and arrow keys to walk it. */

const STEPS = [0.5, 1, 2, 4, 16, 256, 65536, Infinity];
const STEP_NAMES = ["≤ ½", "≤ 1", "≤ 2", "≤ 4", "≤ 16", "≤ 256", "≤ 65 536", "more"];
const USED_STEPS = [0.1, 0.25, 0.5, 1, 2, 16, 256, Infinity];
const USED_NAMES = ["≤ 10 %", "≤ 25 %", "≤ 50 %", "≤ 100 %", "≤ 2×", "≤ 16×", "≤ 256×", "more"];
const MEASURES = {
  ulp: "max ulp (sums at scale)",
  max_ulp: "max ulp, strict",
  max_ulp_flush_tolerant: "max ulp, flushing forgiven",
  budget_used: "rounding budget used",
};
const DIRECTIONS = { "": "forward and gradient", forward: "forward", vjp: "gradient" };

let drawn = null;
let filterState = { q: "", framework: [], format: [], verdict: [], direction: "", measure: "ulp" };

function distinct(values) {
  return [...new Set(values)];
}

/** The verdicts of this run, the most telling first. */
function seenVerdicts() {
  const seen = new Set(index.lines.flatMap((line) => line.cells.filter(Boolean).map((cell) => cell.verdict)));
  return Object.keys(index.symbols).filter((verdict) => seen.has(verdict));
}

function buildFilters() {
  const form = document.getElementById("filters");
  form.append(
    h("label", { class: "field" }, "Operation",
      h("input", { type: "search", name: "q", placeholder: "name or family", autocomplete: "off" })),
    choice("direction", "Direction", DIRECTIONS),
    choice("measure", "Show", MEASURES),
    chips("framework", "Framework", distinct(index.columns.map((c) => c.framework)).map((f) => [f, f])),
    chips("format", "Format", distinct(index.columns.map((c) => c.format)).map((f) => [f, f])),
    chips("verdict", "Verdict", seenVerdicts().map((v) => [v, `${index.symbols[v]} ${words(v)}`])),
    h("button", { type: "reset", class: "quiet" }, "Clear"),
  );
  form.addEventListener("input", () => applyFilters(readFilters(form)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => applyFilters(readFilters(form))));
}

function choice(name, title, options) {
  const entries = Object.entries(options).map(([value, text]) => h("option", { value }, text));
  return h("label", { class: "field" }, title, h("select", { name }, entries));
}

function chips(name, title, options) {
  const boxes = options.map(([value, text]) =>
    h("label", { class: "chip" }, h("input", { type: "checkbox", name, value }), h("span", {}, text)));
  return h("fieldset", {}, h("legend", {}, title), boxes);
}

function readFilters(form) {
  const data = new FormData(form);
  const many = (name) => data.getAll(name).map(String);
  return {
    q: String(data.get("q") ?? ""), direction: String(data.get("direction")), measure: String(data.get("measure")),
    framework: many("framework"), format: many("format"), verdict: many("verdict"),
  };
}

function applyFilters(state) {
  // Replaced, not pushed: Back leaves the page as it was before, not one letter ago.
  history.replaceState(null, "", matrixHref(state));
  showMatrix(state);
}

function matrixHref(state) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    for (const entry of [value].flat()) if (entry && !(name === "measure" && entry === "ulp")) query.append(name, entry);
  }
  return query.size ? `#/?${query}` : "#/";
}

function filtersFrom(query) {
  return {
    q: query.get("q") ?? "",
    direction: query.get("direction") in DIRECTIONS ? query.get("direction") : "",
    measure: query.get("measure") in MEASURES ? query.get("measure") : "ulp",
    framework: query.getAll("framework"), format: query.getAll("format"), verdict: query.getAll("verdict"),
  };
}

function showMatrix(state) {
  const before = drawn === null ? null : drawnBy(filterState);
  filterState = state;
  fillForm(document.getElementById("filters"), filterState);
  const columns = index.columns.map((column, n) => ({ ...column, n })).filter(columnShown);
  // Typing a name only hides rows: building thousands of cells again would be felt.
  if (before !== drawnBy(filterState)) {
    drawn = matrixTable(columns);
    document.getElementById("matrix").replaceChildren(drawn.table);
  }
  const shown = hideRows(drawn, columns);
  document.getElementById("matched").textContent =
    `${shown} of ${index.lines.length} lines, ${columns.length} of ${index.columns.length} columns` + (shown ? "" : ". Nothing matches these filters.");
  setEntry(drawn.table);
  colourLegend();
}

/** What the cells depend on, the rows shown apart. */
function drawnBy({ framework, format, verdict, measure }) {
  return JSON.stringify([framework, format, verdict, measure]);
}

function hideRows({ rows, families }, columns) {
  const kept = rows.filter(({ line, row }) => {
    row.hidden = !lineShown(line, columns);
    return !row.hidden;
  });
  const alive = new Set(kept.map(({ line }) => index.ops[line.op].family));
  for (const [family, row] of families) row.hidden = !alive.has(family);
  return kept.length;
}

/** The one cell that the Tab key stops at. */
function setEntry(table) {
  const cells = [...table.querySelectorAll("tr:not([hidden]) td a")];
  const entry = cells.find((a) => a.getAttribute("href") === leftFor) ?? cells[0];
  table.querySelector('td a[tabindex="0"]')?.setAttribute("tabindex", "-1");
  if (entry) entry.tabIndex = 0;
}

function fillForm(form, state) {
  for (const [name, value] of Object.entries(state)) {
    if (!Array.isArray(value)) {
      if (form.elements[name].value !== value) form.elements[name].value = value;
      continue;
    }
    for (const box of form.querySelectorAll(`input[name="${name}"]`)) box.checked = value.includes(box.value);
  }
}

function columnShown(column) {
  const chosen = (name) => filterState[name].length === 0 || filterState[name].includes(column[name]);
  return chosen("framework") && chosen("format");
}

function lineShown(line, columns) {
  const op = index.ops[line.op];
  const text = `${op.name} ${op.family}`.toLowerCase();
  if (!filterState.q.toLowerCase().split(/\s+/).every((word) => text.includes(word))) return false;
  if (filterState.direction && line.direction !== filterState.direction) return false;
  return columns.some((column) => line.cells[column.n] && cellMatches(line.cells[column.n]));
}

function cellMatches(cell) {
  return filterState.verdict.length === 0 || filterState.verdict.includes(cell.verdict);
}

function matrixTable(columns) {
  const { body, rows, families } = matrixBody(columns);
  const table = h("table", { class: "matrix", "aria-label": "Largest error by operation and candidate" }, matrixHead(columns), body);
  table.addEventListener("keydown", walk);
  table.addEventListener("click", (event) => { leftFor = event.target.closest("td a")?.getAttribute("href") ?? leftFor; });
  return { table, rows, families };
}

function matrixHead(columns) {
  const bands = [(c) => c.framework, columnName, (c) => columnName(c) + c.format];
  const labels = [(c) => c.framework, (c) => columnName(c).slice(c.framework.length).trim() || "·", (c) => c.format];
  const rows = bands.map((key, level) => {
    const row = h("tr", {}, level === 0 ? h("th", { class: "corner", rowspan: 3, scope: "col" }, "operation") : null);
    for (let n = 0; n < columns.length;) {
      let span = 1;
      while (n + span < columns.length && key(columns[n + span]) === key(columns[n])) span += 1;
      const edge = n === 0 || columns[n - 1].framework !== columns[n].framework;
      row.append(h("th", { scope: "colgroup", colspan: span, class: `level${level}${edge ? " edge" : ""}` }, labels[level](columns[n])));
      n += span;
    }
    return row;
  });
  return h("thead", {}, rows);
}

function matrixBody(columns) {
  const families = new Map();
  const rows = [];
  const body = h("tbody");
  for (const line of index.lines) {
    const { family } = index.ops[line.op];
    if (!families.has(family)) {
      families.set(family, h("tr", { class: "family" }, h("th", { scope: "rowgroup" }, family || "operations"), h("td", { colspan: columns.length })));
      body.append(families.get(family));
    }
    const row = h("tr", {}, lineHead(line, index.ops[line.op]), columns.map((column, n) => matrixCell(line, column, columns[n - 1])));
    rows.push({ line, row });
    body.append(row);
  }
  return { body, rows, families };
}

function lineHead(line, op) {
  const gradient = line.direction === "vjp";
  const format = filterState.format[0] ?? index.columns[0].format;
  return h("th", { scope: "row", class: gradient ? "gradient" : null },
    h("a", { href: operationHref(line.op, format, line.direction), title: op.name },
      gradient ? h("span", { title: "gradient" }, "∂ ") : null, op.name));
}

function matrixCell(line, column, before) {
  const edge = before?.framework === column.framework ? "" : " edge";
  const cell = line.cells[column.n];
  if (!cell) return h("td", { class: `absent${edge}` });
  const op = index.ops[line.op].name;
  const shown = measureText(cell);
  const said = `${op}, ${DIRECTIONS[line.direction]}, ${columnName(column)}, ${column.format}: ${words(cell.verdict)}` +
    (shown ? `, ${shown}` : "") + (cell.flushed ? "; flushes subnormals" : "") + (cell.atScale ? "; at scale" : "");
  return h("td", { class: `${cellClass(cell)}${edge}${cellMatches(cell) ? "" : " dim"}` },
    h("a", {
      href: operationHref(line.op, column.format, line.direction, column.n), tabindex: -1, title: said, "aria-label": said,
    }, h("span", { class: "symbol" }, index.symbols[cell.verdict]), h("span", {}, shown), marks(cell)));
}

function measureText(cell) {
  if (filterState.measure === "budget_used") return cell.class ?? (cell.budget_used === null ? "" : used(cell.budget_used));
  return cell.class ?? (cell[filterState.measure] === null ? "" : brief(cell[filterState.measure]));
}

function used(share) {
  return share > 9.995 ? `${brief(share)}×` : `${(share * 100).toFixed(0)} %`;
}

function marks(cell) {
  if (filterState.measure !== "ulp") return null;
  const said = `${cell.atScale ? "s" : ""}${cell.flushed ? "f" : ""}`;
  return said ? h("sup", {}, said) : null;
}

function cellClass(cell) {
  const value = cell[filterState.measure];
  if (cell.class) return `bin7 v-${cell.verdict}`;
  if (value === null) return `v-${cell.verdict}`;
  const steps = filterState.measure === "budget_used" ? USED_STEPS : STEPS;
  return `bin${steps.findIndex((limit) => value <= limit * (1 + 1e-6))} v-${cell.verdict}`;
}

/** Arrow keys move between cells; only one cell is a stop of the Tab key. */
function walk(event) {
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const here = event.target.closest("td");
  if (!here || !(event.key in moves)) return;
  event.preventDefault();
  const [down, right] = moves[event.key];
  let row = here.parentElement, position = here.cellIndex;
  for (;;) {
    position += right;
    if (down) row = down > 0 ? row.nextElementSibling : row.previousElementSibling;
    const cell = row?.cells[position];
    if (!row || (right && !cell)) return;
    const link = cell?.querySelector("a");
    if (!link || row.hidden || cell.tagName !== "TD") continue;
    event.target.tabIndex = -1;
    link.tabIndex = 0;
    link.focus();
    return;
  }
}

function buildLegend() {
  document.getElementById("legend").append(
    h("span", { class: "scale", id: "scale" }),
    h("span", { class: "symbols" }, seenVerdicts().map((verdict) =>
      h("span", { title: index.meanings[verdict] }, h("b", { class: `v-${verdict}` }, index.symbols[verdict]), ` ${words(verdict)}`))),
    h("span", { class: "symbols" },
      h("span", { title: "in ulp of the terms' magnitude: under cancellation the elementwise ulp blames nobody" }, h("sup", {}, "s"), " at scale"),
      h("span", { title: "subnormals taken for zero" }, h("sup", {}, "f"), " flushes subnormals"),
      h("span", {}, "∂ gradient")),
  );
}

function colourLegend() {
  const names = filterState.measure === "budget_used" ? USED_NAMES : STEP_NAMES;
  const unit = filterState.measure === "budget_used" ? "budget" : "ulp";
  document.getElementById("scale").replaceChildren(h("span", {}, unit),
    ...names.map((name, n) => h("span", { class: `swatch bin${n}` }, name)));
}
