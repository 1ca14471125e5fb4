// The report's page: its tables, links and flamegraph.

const page = JSON.parse(document.getElementById("page").textContent);

function linkPlaces() {
  for (const place of document.querySelectorAll(".where[data-file]")) {
    place.replaceChildren(placeLink(place.dataset.file, Number(place.dataset.line)));
  }
}

// ---- the table of functions ----

const MOST_AT_FIRST = 20;

function connectTable(table) {
  const body = table.tBodies[0];
  const heads = [...table.querySelectorAll("th[data-sort]")];
  const more = element("button", {type: "button", class: "more"});
  let all = false;
  const value = (row, column) => column === 0
    ? row.cells[0].textContent : Number(row.cells[column].dataset.value);

  function show() {
    const rows = [...body.rows];
    rows.forEach((row, at) => (row.hidden = !all && at >= MOST_AT_FIRST));
    more.hidden = rows.length <= MOST_AT_FIRST;
    more.textContent = all ? "Show fewer" : `Show all ${rows.length}`;
  }

  function sort(column, falling) {
    const sign = falling ? -1 : 1;
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0));
    body.replaceChildren(...rows.map(([, row]) => row));
    heads.forEach((head, at) => {
      const order = at === column ? (falling ? "descending" : "ascending") : "none";
      head.setAttribute("aria-sort", order);
    });
    show();
  }

  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(column, now === "none" ? column !== 0 : now === "ascending");
    });
  });
  more.addEventListener("click", () => {
    all = !all;
    show();
  });
  table.parentElement.after(more);
  sort(1, true);
}

// ---- the flamegraph ----

function connectFlame(words) {
  const names = new Names(page.functions, visible(page.root));
  const choice = new Choice(page.tracks, treesOf(words, page.tracks, false));
  const scope = byId("scope");
  const stage = byId("stage");
  let upsideDown = false;
  let tree = null;
  choice.fill(scope);

  const flame = new Flame(stage, {
    names,
    describe: describer(names, () => tree),
    onSelect: (node) => {
      const facts = factsOf(flame.tree, node).map(([word, value]) => `${word} ${value}`);
      byId("chosen").replaceChildren(
        element("strong", {}, names.name(flame.tree.func[node])), ` ${facts.join(", ")}`);
    },
    onZoom: (node) => (byId("out").disabled = node === 0),
  });

  function refresh() {
    tree = choice.tree(scope.value || "all", upsideDown);
    stage.style.height = `${Math.min(560, Math.max(160, (tree.deepest[0] + 2) * 19))}px`;
    flame.show(tree);
  }

  flame.icicle = true;
  scope.addEventListener("change", refresh);
  connectPair(byId("icicle"), byId("flame"), (on) => flame.setIcicle(on));
  connectPair(byId("self"), byId("wall"), (on) => {
    upsideDown = on;
    refresh();
  });
  byId("out").addEventListener("click", () => flame.zoom(0));
  byId("search").addEventListener("input", (event) => {
    flame.setMatches(names.search(event.target.value));
  });
  refresh();
  choice.noteEmpty(stage);
}

connectTheme(byId("theme"));
connectSettings(byId("settings"), byId("settings-dialog"), linkPlaces);
linkPlaces();
connectTable(byId("functions"));
unpack("trees").then(connectFlame).catch((error) => {
  byId("stage").textContent = `The flamegraph cannot be shown: ${error.message}`;
}).finally(() => (document.documentElement.dataset.ready = "true"));
