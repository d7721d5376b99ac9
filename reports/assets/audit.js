/* The audit's page: which view the address asks for. "#/?filters" is the matrix, "#/op/name/format/direction/column" one operation. */

let index;
let matrixScroll = 0;
let leftFor = null;

async function startAudit() {
  index = await chunk("index");
  buildFilters();
  buildLegend();
  addEventListener("hashchange", route);
  await route();
  document.documentElement.dataset.ready = "true";
}

function operationHref(op, format, direction, column) {
  const parts = [index.ops[op].name, format, direction, column].filter((part) => part !== undefined);
  return `#/op/${parts.map(encodeURIComponent).join("/")}`;
}

async function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [, view, ...parts] = path.split("/");
  const overview = document.getElementById("overview"), page = document.getElementById("operation");
  if (view === "op") {
    if (!overview.hidden) matrixScroll = scrollY;
    overview.hidden = true;
    page.hidden = false;
    await showOperation(page, ...parts.map(decodeURIComponent));
  } else if (location.hash === "" || path.startsWith("/")) {
    const returning = overview.hidden;
    overview.hidden = false;
    page.hidden = true;
    document.title = document.querySelector("h1").textContent.trim();
    showMatrix(filtersFrom(new URLSearchParams(query)));
    if (returning) returnToMatrix();
  }
}

function returnToMatrix() {
  scrollTo({ top: matrixScroll, behavior: "instant" });
  [...document.querySelectorAll("#matrix td a")].find((a) => a.getAttribute("href") === leftFor)?.focus({ preventScroll: true });
}

function columnName(column) {
  const devices = new Set(index.columns.map((c) => c.device));
  return [column.framework, column.mode, devices.size > 1 ? column.device : ""].filter(Boolean).join(" ");
}

document.addEventListener("DOMContentLoaded", startAudit);
