// The graph: draws what is visible of a tree on a canvas, and answers pointer and keyboard.

const ROW = 19;
const FONT = '12px system-ui, -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", sans-serif';
const LEAST = 0.4; // pixels: thinner frames are drawn together as one shade

const KINDS = ["own", "library", "stdlib", "c", "event"];
// Hue, saturation, lightness of fills: [light theme, dark theme].
const FILLS = {
  own: [[29, 83, 74], [27, 58, 33]],
  library: [[152, 40, 72], [154, 42, 27]],
  stdlib: [[214, 66, 79], [214, 46, 34]],
  c: [[214, 15, 82], [215, 13, 29]],
  event: [[264, 62, 83], [264, 37, 39]],
};

class Flame {
  constructor(stage, {names, describe, onSelect, onZoom}) {
    this.stage = stage;
    this.names = names;
    this.describe = describe;
    this.onSelect = onSelect;
    this.onZoom = onZoom;
    this.icicle = false;
    this.matches = null;
    this.fills = [];
    this.scrolled = 0; // the stage's scrollTop: asking for it is slow
    this.canvas = element("canvas", {
      tabindex: 0, role: "application", "aria-roledescription": "flamegraph",
      "aria-describedby": stage.getAttribute("aria-describedby"),
      "aria-label": stage.getAttribute("aria-label"),
    });
    this.context = this.canvas.getContext("2d", {alpha: false});
    this.room = element("div", {class: "room"}, this.canvas); // as high as all rows
    this.tip = element("div", {class: "tip", hidden: ""});
    stage.replaceChildren(this.room);
    document.body.append(this.tip);
    this.listen();
  }

  listen() {
    const {canvas, stage} = this;
    new ResizeObserver(() => this.fit()).observe(stage);
    stage.addEventListener("scroll", () => {
      this.scrolled = stage.scrollTop;
      this.tip.hidden = true;
      this.draw();
    });
    addEventListener("themechange", () => {
      this.fills = [];
      this.draw();
    });
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => this.hover(-1));
    canvas.addEventListener("click", (event) => {
      const node = this.at(event);
      if (node < 0) return;
      this.select(node);
      this.zoom(node);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.draw());
    canvas.addEventListener("blur", () => {
      this.tip.hidden = true;
      this.draw();
    });
  }

  show(tree) {
    this.tree = tree;
    this.zoomed = 0;
    this.selected = 0;
    this.hovered = -1;
    this.fit();
    this.toRoot();
    this.onZoom(0);
    this.onSelect(0);
  }

  fit() {
    if (!this.tree) return;
    const ratio = devicePixelRatio || 1;
    this.wide = this.stage.clientWidth;
    this.high = this.stage.clientHeight;
    this.canvas.width = Math.max(1, Math.round(this.wide * ratio));
    this.canvas.height = Math.max(1, Math.round(this.high * ratio));
    this.canvas.style.height = `${this.high}px`;
    const rows = this.tree.deepest[this.zoomed] + 1;
    this.content = Math.max(rows * ROW + 1, this.high);
    this.room.style.height = `${this.content}px`;
    this.scrolled = this.stage.scrollTop;
    this.draw();
  }

  toRoot() {
    this.stage.scrollTop = this.icicle ? 0 : this.content;
    this.scrolled = this.stage.scrollTop;
  }

  setIcicle(on) {
    this.icicle = on;
    this.toRoot();
    this.draw();
  }

  setMatches(matches) {
    this.matches = matches;
    this.draw();
  }

  top(level) {
    const y = this.icicle ? level * ROW : this.content - (level + 1) * ROW;
    return y - this.scrolled;
  }

  levelAt(y) {
    const inside = y + this.scrolled;
    return Math.floor((this.icicle ? inside : this.content - inside) / ROW);
  }

  // ---- drawing ----

  draw() {
    if (this.pending || !this.tree) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  paint() {
    const {context, tree, zoomed, wide, high} = this;
    const ratio = this.canvas.width / Math.max(1, wide);
    const style = getComputedStyle(document.documentElement);
    this.dark = isDark();
    this.ink = this.dark ? "#f0f2f6" : "#20252e";
    this.paper = style.getPropertyValue("--paper");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = this.dark ? "#12151b" : "#ffffff";
    context.fillRect(0, 0, wide, high);
    context.font = FONT;
    context.textBaseline = "middle";
    this.scale = tree.width[zoomed] > 0 ? wide / tree.width[zoomed] : 0;
    const ends = [this.levelAt(0), this.levelAt(high)];
    const first = Math.max(0, Math.min(...ends));
    const last = Math.min(tree.deepest[zoomed], Math.max(...ends));
    const path = tree.path(zoomed);
    for (let level = first; level <= last; level++) {
      if (level < path.length) this.bar(path[level], 0, wide, level, level < path.length - 1);
      else this.paintLevel(level);
    }
    this.outline(this.hovered, this.ink, 1);
    if (this.selected > 0) {
      const accent = this.dark ? "#7fb0ff" : "#1f5fd0";
      this.outline(this.selected, accent, document.activeElement === this.canvas ? 3 : 2);
    }
  }

  paintLevel(level) {
    const {context, tree, zoomed, scale, wide} = this;
    const {start, width: widths} = tree;
    const from = start[zoomed];
    const end = from + widths[zoomed];
    const nodes = tree.levels[level];
    const y = this.top(level);
    let thin = -1; // where a run of frames began that are too thin to be told apart
    let reached = 0;
    const shade = () => {
      if (thin < 0) return;
      context.fillStyle = this.dark ? "#2b323c" : "#dde2e8";
      context.fillRect(thin, y, Math.max(reached - thin, 0.5), ROW - 1);
      thin = -1;
    };
    for (let at = tree.search(level, from); at < nodes.length; at++) {
      const node = nodes[at];
      if (start[node] >= end) break;
      const width = widths[node] * scale;
      const x = (start[node] - from) * scale;
      if (width >= LEAST) {
        shade();
        this.bar(node, x, Math.min(width, wide - x), level, false);
      } else if (width > 0) {
        if (thin >= 0 && x > reached + 1) shade();
        if (thin < 0) thin = x;
        reached = x + width;
      }
    }
    shade();
  }

  bar(node, x, width, level, faded) {
    const {context} = this;
    const y = this.top(level);
    const gap = width > 2.5 ? 1 : 0;
    context.globalAlpha = faded ? 0.55 : 1;
    context.fillStyle = this.fill(node);
    if (width > 9) {
      context.beginPath();
      context.roundRect(x, y, width - gap, ROW - 1, 2.5);
      context.fill();
    } else {
      context.fillRect(x, y, width - gap, ROW - 1);
    }
    if (width > 26) {
      context.fillStyle = this.isDimmed(node) ? (this.dark ? "#828b99" : "#8a929e") : this.ink;
      context.fillText(this.label(node, width - 10), x + 5, y + ROW / 2);
    }
    context.globalAlpha = 1;
  }

  isDimmed(node) {
    return this.matches !== null && (node === 0 || !this.matches[this.tree.func[node]]);
  }

  // As much of a name as there is room for: the whole, else the part behind the module.
  label(node, room) {
    const {context} = this;
    const whole = this.names.name(this.tree.func[node]);
    if (whole.length * 4 < room * 1.6 && context.measureText(whole).width <= room) return whole;
    const short = this.names.short(this.tree.func[node]);
    if (short.length * 4 < room * 1.6 && context.measureText(short).width <= room) return short;
    let low = 0;
    let high = Math.min(short.length, Math.ceil(room / 2.5));
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(`${short.slice(0, middle)}…`).width <= room) low = middle;
      else high = middle - 1;
    }
    return low > 0 ? `${short.slice(0, low)}…` : "";
  }

  fill(node) {
    const {tree, dark} = this;
    if (this.isDimmed(node)) return dark ? "#20252e" : "#eceff3";
    if (node === 0) return dark ? "#2b323d" : "#dfe4ea";
    if (tree.before) return this.difference(node);
    const func = tree.func[node];
    if (this.fills[func] === undefined) {
      const [hue, saturation, lightness] = FILLS[KINDS[this.names.group(func)]][dark ? 1 : 0];
      const turn = this.names.shade(func);
      this.fills[func] =
        `hsl(${hue + turn * 9} ${saturation}% ${lightness + turn * (dark ? -5 : 5)}%)`;
    }
    return this.fills[func];
  }

  // Red where a path takes longer than before, blue where it takes less; grey where nothing moved.
  difference(node) {
    const {tree, dark} = this;
    const moved = tree.total[node] - tree.totalBefore[node];
    const whole = Math.max(tree.total[0], tree.totalBefore[0], 1);
    const strength = Math.min(1, Math.sqrt(Math.abs(moved) / whole / 0.15));
    if (strength < 0.05) return dark ? "#343b47" : "#dde2e8";
    const hue = moved > 0 ? 4 : 214;
    return dark
      ? `hsl(${hue} ${14 + strength * 42}% ${26 + strength * 18}%)`
      : `hsl(${hue} ${22 + strength * 56}% ${88 - strength * 22}%)`;
  }

  outline(node, color, width) {
    if (node < 0) return;
    const box = this.box(node);
    if (!box) return;
    const {context} = this;
    context.strokeStyle = color;
    context.lineWidth = width;
    context.strokeRect(box.x + width / 2, box.y + width / 2,
      Math.max(1, box.width - width - 1), ROW - 1 - width);
  }

  box(node) {
    const {tree, zoomed, wide} = this;
    const y = this.top(tree.level[node]);
    if (tree.level[node] <= tree.level[zoomed]) {
      return tree.isBelow(zoomed, node) ? {x: 0, y, width: wide} : null;
    }
    if (!tree.isBelow(node, zoomed)) return null;
    const x = (tree.start[node] - tree.start[zoomed]) * this.scale;
    return {x, y, width: tree.width[node] * this.scale};
  }

  // ---- pointer ----

  at(event) {
    const {tree, zoomed} = this;
    if (!tree) return -1;
    const bounds = this.canvas.getBoundingClientRect();
    this.scrolled = this.stage.scrollTop;
    const level = this.levelAt(event.clientY - bounds.top);
    if (level < 0 || level > tree.deepest[zoomed]) return -1;
    if (level <= tree.level[zoomed]) return tree.path(zoomed)[level];
    const at = tree.start[zoomed] + (event.clientX - bounds.left) / (this.scale || 1);
    const position = tree.search(level, at);
    const node = tree.levels[level][position];
    if (node === undefined || tree.start[node] > at || !tree.isBelow(node, zoomed)) return -1;
    return node;
  }

  point(event) {
    const node = this.at(event);
    this.hover(node);
    if (node < 0) return;
    const {tip} = this;
    if (this.told !== node) {
      this.told = node;
      tip.replaceChildren(...this.describe(node));
    }
    tip.hidden = false;
    const wide = tip.offsetWidth;
    const high = tip.offsetHeight;
    const x = Math.min(event.clientX + 14, innerWidth - wide - 8);
    const below = event.clientY + 18;
    const y = below + high > innerHeight - 8 ? event.clientY - high - 12 : below;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${Math.max(8, y)}px`;
  }

  hover(node) {
    if (node < 0) {
      this.tip.hidden = true;
      this.told = -1;
    }
    if (node === this.hovered) return;
    this.hovered = node;
    this.draw();
  }

  // ---- moving ----

  zoom(node) {
    this.zoomed = node;
    this.tip.hidden = true;
    this.told = -1;
    this.fit();
    this.reveal(node);
    this.onZoom(node);
  }

  select(node) {
    this.selected = node;
    this.onSelect(node);
    this.draw();
  }

  reveal(node) {
    const y = this.top(this.tree.level[node]);
    if (y < ROW) this.stage.scrollTop += y - 2 * ROW;
    else if (y > this.high - 2 * ROW) this.stage.scrollTop += y - this.high + 3 * ROW;
    this.scrolled = this.stage.scrollTop;
  }

  // Select a node, and zoom out as far as it takes to see it.
  goTo(node) {
    const {tree} = this;
    let zoomed = this.zoomed;
    while (zoomed !== 0 && !tree.isBelow(node, zoomed) && !tree.isBelow(zoomed, node)) {
      zoomed = tree.parent[zoomed];
    }
    if (zoomed !== this.zoomed) this.zoom(zoomed);
    this.select(node);
    this.reveal(node);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.tree) return;
    const {tree, selected} = this;
    const inward = this.icicle ? "ArrowDown" : "ArrowUp";
    const outward = this.icicle ? "ArrowUp" : "ArrowDown";
    let to = null;
    if (event.key === inward) to = this.child(selected);
    else if (event.key === outward) to = tree.parent[selected];
    else if (event.key === "ArrowRight") to = this.neighbour(selected, 1);
    else if (event.key === "ArrowLeft") to = this.neighbour(selected, -1);
    else if (event.key === "Home") to = 0;
    else if (event.key === "Enter" || event.key === " ") this.zoom(selected);
    else if (event.key === "Backspace") this.zoom(tree.parent[this.zoomed]);
    else if (event.key === "Escape") this.zoom(0);
    else return;
    event.preventDefault();
    if (to !== null && to >= 0) this.goTo(to);
  }

  // The first frame inside: of what is drawn, so that it can be seen.
  child(node) {
    const {tree} = this;
    const level = tree.level[node] + 1;
    if (level >= tree.levels.length) return -1;
    const child = tree.levels[level][tree.search(level, tree.start[node])];
    return child !== undefined && tree.parent[child] === node ? child : -1;
  }

  neighbour(node, step) {
    const {tree, zoomed} = this;
    const level = tree.level[node];
    if (level <= tree.level[zoomed]) return -1;
    const nodes = tree.levels[level];
    let at = tree.search(level, tree.start[node]);
    while (at < nodes.length && nodes[at] !== node) at++;
    for (at += step; at >= 0 && at < nodes.length; at += step) {
      const next = nodes[at];
      if (!tree.isBelow(next, zoomed)) return -1;
      if (tree.width[next] * this.scale >= LEAST) return next;
    }
    return -1;
  }
}
