// What every page needs: numbers as words, the theme, the editor that links open.

const UNITS = [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]];

function duration(ns) {
  const size = Math.abs(ns);
  let unit = UNITS[0];
  for (const candidate of UNITS) if (size >= candidate[1] * 0.9995) unit = candidate;
  const value = ns / unit[1];
  const digits = unit[0] === "ns" ? 0 : Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit[0]}`;
}

function signed(ns) {
  return (ns > 0 ? "+" : ns < 0 ? "−" : "±") + duration(Math.abs(ns));
}

const GROUPED = new Intl.NumberFormat("en-US");

function count(number) {
  return GROUPED.format(number);
}

function percent(part, whole) {
  if (!(whole > 0)) return "0%";
  const value = (part / whole) * 100;
  return `${value.toFixed(Math.abs(value) < 10 ? 2 : 1)}%`;
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const byId = (id) => document.getElementById(id);

// Two buttons of which one is pressed; returns what presses the first or the second.
function connectPair(first, second, changed) {
  const press = (isFirst) => {
    first.setAttribute("aria-pressed", String(isFirst));
    second.setAttribute("aria-pressed", String(!isFirst));
    changed(isFirst);
  };
  first.addEventListener("click", () => press(true));
  second.addEventListener("click", () => press(false));
  return press;
}

// Lone surrogates stay visible instead of turning into the same replacement character.
function visible(text) {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (lone) => `\\u${lone.charCodeAt(0).toString(16)}`);
}

// ---- settings: kept where the browser allows it ----

const settings = {
  get(name) {
    try {
      return localStorage.getItem(`otrace.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`otrace.${name}`, value);
    } catch {
      // a page in a sandbox has nowhere to keep them
    }
  },
};

const systemDark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

function isDark() {
  return theme() === "system" ? systemDark.matches : theme() === "dark";
}

function setTheme(name) {
  if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  settings.set("theme", theme());
  dispatchEvent(new Event("themechange"));
}

systemDark.addEventListener("change", () => dispatchEvent(new Event("themechange")));

const EDITORS = {
  vscode: ["VS Code", "vscode://file/{path}:{line}"],
  cursor: ["Cursor", "cursor://file/{path}:{line}"],
  zed: ["Zed", "zed://file/{path}:{line}"],
  pycharm: ["PyCharm", "pycharm://open?file={path}&line={line}"],
  sublime: ["Sublime Text", "subl://open?url=file://{path}&line={line}"],
  emacs: ["Emacs", "org-protocol://open-file?url=file://{path}&line={line}"],
};
const NO_EDITOR = /^\s*(javascript|data|vbscript|blob|file|about):/i;

function editorTemplate() {
  const chosen = settings.get("editor") ?? page.editor;
  return EDITORS[chosen]?.[1] ?? chosen;
}

// The address that opens a file in the editor; null for a file that is not one.
function editorUrl(file, line) {
  const template = editorTemplate();
  if (!file.startsWith("/") || !/^[a-z][a-z0-9+.-]*:/i.test(template)) return null;
  if (NO_EDITOR.test(template)) return null;
  const wanted = encodeURI(visible(file)).replace(/[?#&]/g, encodeURIComponent);
  const path = template.includes("file/{path}") ? wanted.replace(/^\//, "") : wanted;
  return template.replaceAll("{path}", path).replaceAll("{line}", String(line || 1));
}

function place(file, line) {
  return file ? visible(line ? `${file}:${line}` : file) : "";
}

// Where a function is, as a link to the editor where that is possible.
function placeLink(file, line) {
  const text = place(file, line);
  const url = editorUrl(file, line);
  if (!url) return document.createTextNode(text);
  return element("a", {href: url, title: "Open in the editor"}, text);
}

function connectTheme(button) {
  const order = ["system", "light", "dark"];
  const words = {system: "as the system", light: "light", dark: "dark"};
  const show = () => {
    button.textContent = {system: "◐", light: "☀", dark: "☾"}[theme()];
    button.setAttribute("aria-label", `Theme: ${words[theme()]}`);
    button.title = `Theme: ${words[theme()]}`;
  };
  button.addEventListener("click", () => {
    setTheme(order[(order.indexOf(theme()) + 1) % order.length]);
    show();
  });
  show();
}

function connectSettings(button, dialog, changed) {
  const select = dialog.querySelector("select");
  const own = dialog.querySelector("input");
  for (const [name, [label]] of Object.entries(EDITORS)) {
    select.append(element("option", {value: name}, label));
  }
  select.append(element("option", {value: ""}, "Another"));
  button.addEventListener("click", () => {
    const chosen = settings.get("editor") ?? page.editor;
    select.value = chosen in EDITORS ? chosen : "";
    own.value = editorTemplate();
    dialog.showModal();
  });
  select.addEventListener("change", () => {
    if (select.value) own.value = EDITORS[select.value][1];
    else own.focus();
  });
  own.addEventListener("input", () => (select.value = ""));
  dialog.querySelector("form").addEventListener("submit", (event) => {
    if (event.submitter?.value !== "save") return;
    settings.set("editor", select.value || own.value);
    changed();
  });
}

const kept = settings.get("theme");
if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
