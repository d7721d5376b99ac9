/* What every page needs: elements, packed data, copying, the theme. Text enters the page as text nodes only. */

/** An element with attributes (functions become listeners) and children (strings become text). */
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const unpacked = new Map();

/** The text of a packed chunk; each is unpacked once, when it is first needed. */
function chunkText(name) {
  if (!unpacked.has(name)) unpacked.set(name, unpack(name));
  return unpacked.get(name);
}

/** The data of a packed chunk. */
async function chunk(name) {
  return JSON.parse(await chunkText(name));
}

async function unpack(name) {
  const holder = [...document.querySelectorAll("script[data-chunk]")].find((s) => s.dataset.chunk === name);
  if (!holder) throw new Error(`the page holds no data called ${name}`);
  const bytes = Uint8Array.from(atob(holder.textContent), (character) => character.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  holder.textContent = "";
  return new Response(inflated).text();
}

/** Put `text` on the clipboard and say so. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages opened from a file are refused by some browsers; selecting and copying is not.
    const area = h("textarea", { class: "offscreen", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
}

let quiet;

/** A short message that leaves by itself. */
function say(message) {
  const toast = document.getElementById("toast");
  toast.textContent = message;
  toast.classList.add("shown");
  clearTimeout(quiet);
  quiet = setTimeout(() => toast.classList.remove("shown"), 1600);
}

function copyButton(text, label = "Copy") {
  return h("button", { type: "button", class: "copy", click: () => copy(text) }, label);
}

/** `value` in at most six characters: 0.50, 2.31, 45.1, 812, 1.7e7; a dash for what does not exist. */
function brief(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  for (const [limit, digits] of [[9.995, 2], [99.95, 1], [9999.5, 0]]) {
    if (size >= 0.005 && size < limit) return value.toFixed(digits);
  }
  return value.toExponential(1).replace("e+", "e");
}

function percent(fraction) {
  if (fraction === null || fraction === undefined) return "–";
  // 99.97 must not read 100: nobody is perfect by rounding.
  return fraction === 1 ? "100 %" : `${(Math.floor(fraction * 1000) / 10).toFixed(1)} %`;
}

function words(constant) {
  return constant.toLowerCase().replaceAll("_", " ");
}

function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    /* A browser that keeps nothing still shows the page. */
  }
}

function isDark() {
  return getComputedStyle(document.documentElement).colorScheme === "dark";
}

function setTheme(theme) {
  document.documentElement.style.colorScheme = theme;
  document.dispatchEvent(new Event("themechange"));
}

function startPage() {
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  setTheme(remembered("oracle-theme") ?? (preferred.matches ? "dark" : "light"));
  preferred.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
  document.getElementById("theme")?.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    remember("oracle-theme", theme);
    setTheme(theme);
  });
  for (const code of document.querySelectorAll("code[data-copy]")) code.after(copyButton(code.textContent));
}

document.addEventListener("DOMContentLoaded", startPage);
