// The flamegraph's page.

const page = JSON.parse(document.getElementById("page").textContent);

function start(words) {
  const names = new Names(page.functions, visible(page.root));
  const choice = new Choice(page.tracks, treesOf(words, page.tracks, page.compared));
  const scope = byId("scope");
  const stage = byId("stage");
  choice.fill(scope);
  let upsideDown = false;
  let asBefore = false;
  let tree = null;
  let matches = null;
  let sort = {key: page.compared ? "change" : "self", falling: true};
  let rows = [];

  const flame = new Flame(stage, {
    names,
    describe: describer(names, () => tree),
    onSelect: showChosen,
    onZoom: showPath,
  });

  function refresh() {
    tree = choice.tree(scope.value || "all", upsideDown);
    const plain = choice.tree(scope.value || "all", false);
    rows = functionsOf(plain).map((row) => ({...row, change: row.self - row.selfBefore}));
    const width = asBefore ? tree.totalBefore : tree.total;
    if (tree.width !== width) tree.arrange(width);
    flame.show(tree);
    search();
  }

  // ---- the bar ----

  const setIcicle = connectPair(byId("icicle"), byId("flame"), (on) => flame.setIcicle(on));
  const setUpsideDown = connectPair(byId("self"), byId("wall"), (on) => {
    upsideDown = on;
    refresh();
  });
  if (page.compared) {
    connectPair(byId("before"), byId("after"), (on) => {
      asBefore = on;
      refresh();
    });
  }
  scope.addEventListener("change", refresh);
  connectTheme(byId("theme"));
  connectSettings(byId("settings"), byId("settings-dialog"), () => {
    showChosen(flame.selected);
    showFunctions();
  });
  byId("help").addEventListener("click", () => byId("help-dialog").showModal());

  // ---- search ----

  const input = byId("search");
  input.addEventListener("input", () => search());
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      nextMatch(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      input.value = "";
      search();
      flame.canvas.focus();
      event.preventDefault();
    }
  });

  function search() {
    matches = names.search(input.value);
    byId("found").textContent = matches ? percent(matchedTime(), tree.total[0]) : "";
    flame.setMatches(matches);
    showFunctions();
  }

  // Time inside matching frames, each moment once.
  function matchedTime() {
    const inside = new Uint8Array(tree.size);
    let sum = 0;
    for (let node = 1; node < tree.size; node++) {
      inside[node] = inside[tree.parent[node]];
      if (!inside[node] && matches[tree.func[node]]) {
        inside[node] = 1;
        sum += tree.total[node];
      }
    }
    return sum;
  }

  // To the next matching frame, from the widest to the thinnest.
  function nextMatch(step) {
    if (!matches) return;
    const order = [];
    for (let node = 1; node < tree.size; node++) if (matches[tree.func[node]]) order.push(node);
    if (!order.length) return;
    order.sort((a, b) => tree.width[b] - tree.width[a] || a - b);
    const at = order.indexOf(flame.selected);
    const first = step > 0 ? 0 : order.length - 1;
    flame.goTo(order[at < 0 ? first : (at + step + order.length) % order.length]);
  }

  // ---- the chosen frame ----

  function showChosen(node) {
    const shown = flame.tree;
    const func = shown.func[node];
    byId("chosen-name").textContent = names.name(func);
    const where = byId("chosen-where");
    where.replaceChildren(placeLink(names.file(func), names.line(func)));
    if (node !== 0 && names.group(func) === 3) where.textContent = "C function";
    const facts = byId("chosen-facts");
    facts.replaceChildren();
    for (const [word, value] of factsOf(shown, node)) {
      facts.append(element("div", {}, element("dt", {}, word), element("dd", {}, value)));
    }
    markRow(func);
  }

  function showPath(node) {
    const list = byId("path");
    list.replaceChildren(...flame.tree.path(node).map((at) => {
      const button = element("button", {type: "button", title: names.name(flame.tree.func[at])},
        names.short(flame.tree.func[at]));
      button.addEventListener("click", () => flame.zoom(at));
      return element("li", {}, button);
    }));
    while (list.scrollWidth > list.clientWidth && list.children.length > 4) {
      list.children[1].remove();
    }
    byId("out").disabled = node === 0;
  }

  byId("out").addEventListener("click", () => flame.zoom(0));

  // ---- the functions ----

  const MOST_ROWS = 200;

  function showFunctions() {
    const body = byId("functions");
    const shown = matches ? rows.filter((row) => matches[row.func]) : rows.slice();
    const sign = sort.falling ? -1 : 1;
    shown.sort(sort.key === "name"
      ? (a, b) => sign * (names.name(a.func) < names.name(b.func) ? -1 : 1)
      : (a, b) => sign * (valueOf(a) - valueOf(b)) || a.func - b.func);
    const whole = tree.total[0];
    body.replaceChildren(...shown.slice(0, MOST_ROWS).map((row) => functionRow(row, whole)));
    byId("functions-note").textContent = shown.length > MOST_ROWS
      ? `${MOST_ROWS} of ${count(shown.length)} functions; search to see others`
      : shown.length ? "" : "No function matches.";
    for (const head of document.querySelectorAll("#side th[data-sort]")) {
      const order = head.dataset.sort === sort.key ? (sort.falling ? "descending" : "ascending") : "none";
      head.setAttribute("aria-sort", order);
    }
    markRow(flame.tree.func[flame.selected]);
  }

  function valueOf(row) {
    return sort.key === "change" ? Math.abs(row.change) : row[sort.key];
  }

  function functionRow(row, whole) {
    const module = names.name(row.func).slice(0, -names.short(row.func).length - 1);
    const button = element("button", {type: "button", title: names.name(row.func)},
      names.short(row.func), ...(module ? [" ", element("span", {}, module)] : []));
    button.addEventListener("click", () => chooseFunction(row.func));
    const cells = page.compared
      ? [signed(row.change), duration(row.self), count(row.calls)]
      : [duration(row.self), duration(row.total), count(row.calls)];
    const line = element("tr", {"data-func": row.func}, element("td", {}, button),
      ...cells.map((text) => element("td", {class: "number"}, text)));
    line.children[1].title = percent(row.self, whole);
    return line;
  }

  function chooseFunction(func) {
    let best = -1;
    for (let node = 1; node < tree.size; node++) {
      if (tree.func[node] === func && (best < 0 || tree.total[node] > tree.total[best])) best = node;
    }
    if (best >= 0) flame.goTo(best);
  }

  function markRow(func) {
    for (const line of byId("functions").children) {
      line.setAttribute("aria-selected", String(Number(line.dataset.func) === func));
    }
  }

  for (const head of document.querySelectorAll("#side th[data-sort]")) {
    head.querySelector("button").addEventListener("click", () => {
      const key = head.dataset.sort;
      sort = {key, falling: sort.key === key ? !sort.falling : key !== "name"};
      showFunctions();
    });
  }

  // ---- keys of the whole page ----

  addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.target === document.body) flame.key(event);
    const actions = {
      "/": () => input.focus(),
      "?": () => byId("help-dialog").showModal(),
      i: () => setIcicle(!flame.icicle),
      s: () => setUpsideDown(!upsideDown),
      t: () => byId("theme").click(),
      n: () => nextMatch(1),
      N: () => nextMatch(-1),
      o: () => byId("chosen-where").querySelector("a")?.click(),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });

  refresh();
  choice.noteEmpty(stage);
  document.documentElement.dataset.ready = "true";
}

unpack("trees").then(start).catch((error) => {
  const words = typeof DecompressionStream === "undefined"
    ? "This page needs a browser from 2023 or later." : `This page cannot be shown: ${error.message}`;
  document.getElementById("stage").textContent = words;
});
