/* The page of one operation: what it is, who is how far off, where, and the code that shows it. */

async function showOperation(page, name, format, direction, column) {
  const number = index.ops.findIndex((op) => op.name === name);
  if (number < 0) {
    page.replaceChildren(h("p", { class: "notice" }, `This run has no operation called ${name}. `, h("a", { href: "#/" }, "All operations")));
    return;
  }
  const detail = await chunk(`op ${number}`);
  const formats = distinct(Object.values(detail.directions).flat().map((entry) => index.columns[entry.column].format));
  const chosen = formats.includes(format) ? format : formats[0];
  document.title = `${name} · ${chosen}`;
  const sections = Object.keys(DIRECTIONS).filter((d) => detail.directions[d]).map((d) =>
    directionSection(d, detail.directions[d].filter((entry) => index.columns[entry.column].format === chosen), Number(column ?? NaN)));
  page.replaceChildren(operationHead(detail, number, formats, chosen), ...sections.map((section) => section.node));
  for (const section of sections) section.draw();
  arrive(page, direction, column);
}

function arrive(page, direction, column) {
  const target = page.querySelector(`#d-${direction === "vjp" ? "vjp" : "forward"}`);
  if (direction === "vjp" && target) target.scrollIntoView({ behavior: "instant" });
  else scrollTo({ top: 0, behavior: "instant" });
  (column === undefined || direction === "vjp" ? target?.querySelector("h2") ?? page.querySelector("h1") : page.querySelector("h1"))
    ?.focus({ preventScroll: true });
}

function operationHead(detail, number, formats, chosen) {
  const neighbour = (step, text) => {
    const other = (number + step + index.ops.length) % index.ops.length;
    return h("a", { href: operationHref(other, chosen), rel: step < 0 ? "prev" : "next", title: index.ops[other].name }, text);
  };
  return h("header", { class: "operation-head" },
    h("nav", { "aria-label": "Operations" }, h("a", { href: matrixHref(filterState), class: "back" }, "← All operations"), neighbour(-1, "‹ previous"), neighbour(1, "next ›")),
    h("h1", { tabindex: -1 }, detail.name, h("small", {}, detail.family)),
    detail.formula ? h("p", { class: "formula" }, detail.formula) : null,
    detail.source ? h("p", { class: "also" }, `Source: ${detail.source}`) : null,
    h("nav", { class: "tabs", "aria-label": "Number format" }, formats.map((format) =>
      h("a", { href: operationHref(number, format), "aria-current": format === chosen ? "page" : null, class: worstClass(detail, format) }, format))));
}

function worstClass(detail, format) {
  const verdicts = Object.values(detail.directions).flat().filter((e) => index.columns[e.column].format === format).map((e) => e.verdict);
  return `v-${Object.keys(index.symbols).find((verdict) => verdicts.includes(verdict))}`;
}

function directionSection(direction, entries, highlighted) {
  const answered = entries.filter((entry) => entry.elements > 0);
  const withCurve = answered.filter((entry) => entry.curve), withBars = answered.filter((entry) => entry.histogram);
  const figures = [withCurve.length ? curveFigure(withCurve) : null, withBars.length ? histogramFigure(withBars) : null].filter(Boolean);
  const node = h("section", { id: `d-${direction}`, class: "direction" },
    h("h2", { tabindex: -1 }, direction === "vjp" ? "∂ Gradient (vjp)" : "Forward"),
    entries.length ? candidateTable(entries, highlighted) : h("p", { class: "notice" }, "Not audited in this format."),
    figures.length ? h("div", { class: "charts" }, figures.map((f) => f.figure)) : null,
    worstSection(answered, highlighted),
    specialSection(answered));
  return { node, draw: () => figures.forEach((f) => f.draw()) };
}

const CANDIDATE_COLUMNS = [
  ["candidate", null], ["verdict", null],
  ["max ulp", "The largest error in units in the last place, every element counted; in brackets its proven bounds"],
  ["at scale", "In ulp of the magnitude of the terms: under cancellation the elementwise ulp is unbounded and blames nobody"],
  ["flush-tolerant", "Subnormals taken for zero are forgiven"],
  ["mean", "Mean absolute error in ulp"], ["correctly rounded", "Share of the decided elements"],
  ["budget fused", "Largest share of the rounding budget used; intermediates in the accumulation format"],
  ["stepwise", "The same, every step rounding to the format"],
  ["probable", "The same against the probable error, that grows with √n"], ["elements", null],
];

function candidateTable(entries, highlighted) {
  const head = h("tr", {}, CANDIDATE_COLUMNS.map(([text, title]) => h("th", { scope: "col", title }, text)));
  const body = entries.flatMap((entry) => candidateRows(entry, entry.column === highlighted));
  return h("div", { class: "scroller" }, h("table", { class: "candidates" }, h("thead", {}, head), h("tbody", {}, body)));
}

function candidateRows(entry, highlighted) {
  const cases = entry.cases.map((row) => caseRow(row));
  for (const row of cases) row.hidden = true;
  const toggle = h("button", {
    type: "button", class: "disclose", "aria-expanded": "false", title: `${entry.cases.length} cases`,
    click: () => {
      const open = toggle.getAttribute("aria-expanded") === "false";
      toggle.setAttribute("aria-expanded", String(open));
      for (const row of cases) row.hidden = !open;
    },
  }, columnName(index.columns[entry.column]));
  return [h("tr", { class: highlighted ? "highlighted" : null }, h("th", { scope: "row" }, toggle), ...numberCells(entry)), ...cases];
}

function caseRow(row) {
  const label = [row.config, row.output, row.region].filter(Boolean).join(" · ");
  const title = `seed ${row.seed}, inputs ${row.input_hash}, ${row.seconds} s, decided by rung: ${Object.entries(row.rungs).map(([r, n]) => `${r}: ${n}`).join(", ")}`;
  return h("tr", { class: "case" }, h("th", { scope: "row", title }, label), ...numberCells(row));
}

function numberCells(entry) {
  const bounds = entry.max_ulp_interval;
  const classes = Object.entries(entry.classes).filter(([, n]) => n).map(([name, n]) => `${n} ${words(name)}`);
  const cell = (...content) => h("td", {}, ...content);
  return [
    h("td", { class: "verdict" }, h("b", { class: `v-${entry.verdict}` }, index.symbols[entry.verdict], " ", words(entry.verdict)),
      classes.length ? h("small", {}, classes.join(", ")) : null, entry.reason ? h("small", {}, entry.reason) : null),
    cell(brief(entry.max_ulp), bounds ? h("small", { title: `${bounds[0]} to ${bounds[1]}` }, `[${precise(bounds[0])}, ${precise(bounds[1])}]`) : null),
    cell(brief(entry.max_ulp_at_scale)), cell(brief(entry.max_ulp_flush_tolerant)), cell(brief(entry.mean_abs_ulp)),
    cell(percent(entry.correctly_rounded)),
    ...["budget_used", "budget_used_stepwise", "budget_used_probable"].map((name) =>
      h("td", { class: overClass(entry[name], entry.verdict) }, entry[name] === null ? "–" : used(entry[name]))),
    cell(entry.elements ? entry.elements.toLocaleString("en") : "–", entry.undecided ? h("small", {}, `${entry.undecided} undecided`) : null),
  ];
}

/** Beyond one of the budgets is legal while it is within another. */
function overClass(share, verdict) {
  if (!(share > 1)) return null;
  return verdict === "BEYOND_BUDGET" ? "over" : "beyond-fused";
}

function precise(value) {
  return value >= 1e6 ? value.toExponential(3).replace("e+", "e") : String(+value.toPrecision(5));
}

function worstSection(entries, highlighted) {
  const first = entries.filter((entry) => entry.column === highlighted);
  const share = (w) => (w.ulp === null ? Infinity : w.budget_used ?? 0);
  // The worst of every candidate before the second worst of any.
  const all = (first.length ? first : entries)
    .flatMap((entry) => entry.worst.map((w, place) => ({ ...w, place, column: entry.column })))
    .sort((a, b) => a.place - b.place || (share(b) > share(a) ? 1 : share(b) < share(a) ? -1 : Math.abs(b.ulp ?? 0) - Math.abs(a.ulp ?? 0)));
  if (!all.length) return null;
  const table = h("tbody", {}, all.slice(0, 8).map(worstRows));
  const more = all.length > 8 ? h("button", {
    type: "button", class: "quiet", click: () => { table.append(...all.slice(8).flatMap(worstRows)); more.remove(); },
  }, `Show ${all.length - 8} more`) : null;
  return h("section", {}, h("h3", {}, first.length ? `Worst inputs of ${columnName(index.columns[highlighted])}` : "Worst inputs"),
    h("div", { class: "scroller" }, h("table", { class: "worst" }, h("thead", {}, h("tr", {},
      ["candidate", "input", "framework's value", "true value", "ulp", "budget", "reproduction"].map((t) => h("th", { scope: "col" }, t)))), table)), more);
}

function worstRows(w) {
  const where = [w.config, w.output, w.region, w.index.length ? `[${w.index.join(", ")}]` : ""].filter(Boolean).join(" · ");
  const inputs = Object.entries(w.inputs).map(([name, value]) => h("div", { class: "value" }, h("i", {}, `${name} = `), number(value)));
  const same = agreement(w.truth, w.actual.decimal);
  const code = h("tr", { class: "code", hidden: true }, h("td", { colspan: 7 }, h("pre", {}, w.reproduction)));
  const toggle = h("button", { type: "button", class: "quiet", "aria-expanded": "false", click: () => {
    code.hidden = !code.hidden;
    toggle.setAttribute("aria-expanded", String(!code.hidden));
  } }, "Show");
  const row = h("tr", {},
    h("th", { scope: "row" }, columnName(index.columns[w.column]), h("small", {}, where)), h("td", {}, inputs),
    h("td", {}, h("div", { class: "value" }, digitsOf(w.actual.decimal, same), h("code", { class: "hex" }, w.actual.hex))),
    h("td", {}, h("div", { class: "value" }, digitsOf(w.truth, same))),
    h("td", { class: "num" }, w.ulp === null ? "no number" : brief(w.ulp)), h("td", { class: `num${w.budget_used > 1 ? " over" : ""}` }, w.budget_used === null ? "–" : used(w.budget_used)),
    h("td", {}, w.reproduction ? [copyButton(w.reproduction, "Copy code"), " ", toggle] : "–"));
  return [row, code];
}

function number(value) {
  return [value.decimal, h("code", { class: "hex" }, value.hex)];
}

/** How many leading characters two decimals share, if they have one exponent. */
function agreement(a, b) {
  const exponent = (text) => text.toLowerCase().split("e")[1] ?? "";
  const point = (text) => text.split(/[.e]/i)[0].length;
  if (exponent(a) !== exponent(b) || point(a) !== point(b)) return 0;
  let n = 0;
  while (n < Math.min(a.length, b.length) && a[n] === b[n] && !/e/i.test(a[n])) n += 1;
  return n;
}

function digitsOf(text, same) {
  return h("span", { class: "digits" }, h("span", { class: "same" }, text.slice(0, same)), text.slice(same));
}

function specialSection(entries) {
  const key = (s) => Object.entries(s.inputs).map(([name, value]) => `${name} = ${value.decimal}`).join(", ");
  const seen = new Map();
  for (const entry of entries) for (const s of entry.special) {
    const id = `${key(s)} → ${s.expected}`;
    if (!seen.has(id)) seen.set(id, { inputs: key(s), expected: s.expected, answers: new Map() });
    const old = seen.get(id).answers.get(entry.column);
    if (!old || old.agrees) seen.get(id).answers.set(entry.column, s);
  }
  if (!seen.size) return null;
  const asked = entries.filter((entry) => entry.special.length);
  const rows = [...seen.values()].map((s) => h("tr", {}, h("th", { scope: "row" }, s.inputs), h("td", {}, s.expected),
    asked.map((entry) => specialCell(s.answers.get(entry.column)))));
  return h("section", {}, h("h3", {}, "Special values"), h("div", { class: "scroller" }, h("table", { class: "special" },
    h("thead", {}, h("tr", {}, ["input", "truth", ...asked.map((e) => columnName(index.columns[e.column]))].map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", {}, rows))));
}

function specialCell(answer) {
  if (!answer) return h("td", {});
  return h("td", { class: answer.agrees ? null : "over", title: answer.actual.hex }, answer.agrees ? "✓ " : "✗ ", answer.actual.decimal);
}
