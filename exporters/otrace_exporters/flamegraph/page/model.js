// Call trees as arrays. A node's parent comes before it; node 0 is the root of all.

// The words of a packed script.
async function unpack(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint32Array(await new Response(plain).arrayBuffer());
}

class Tree {
  constructor(parent, func, self, calls, before) {
    this.size = parent.length;
    this.parent = parent;
    this.func = func;
    this.self = self;
    this.calls = calls;
    this.before = before; // the same times of the recording that this one is compared with
    this.total = sums(parent, self);
    this.totalBefore = before ? sums(parent, before.self) : null;
    this.level = new Int32Array(this.size);
    this.deepest = new Int32Array(this.size);
    for (let node = 1; node < this.size; node++) {
      this.deepest[node] = this.level[node] = this.level[parent[node]] + 1;
    }
    this.first = new Int32Array(this.size).fill(-1); // child of each node
    this.next = new Int32Array(this.size).fill(-1); // sibling of each node
    for (let node = this.size - 1; node > 0; node--) {
      const up = parent[node];
      this.next[node] = this.first[up];
      this.first[up] = node;
      if (this.deepest[node] > this.deepest[up]) this.deepest[up] = this.deepest[node];
    }
    this.arrange(this.total);
  }

  // Where each node starts, the widest first among siblings, and the nodes of each level in order.
  arrange(width) {
    const {size, first, next} = this;
    this.width = width;
    this.start = new Float64Array(size);
    this.levels = [];
    const order = new Int32Array(size); // all levels, one behind the other
    const siblings = [];
    let from = 0;
    let end = 1;
    while (from < end) {
      this.levels.push(order.subarray(from, end));
      let behind = end;
      for (let position = from; position < end; position++) {
        const node = order[position];
        let child = first[node];
        if (child < 0) continue;
        let at = this.start[node];
        if (next[child] < 0) {
          this.start[child] = at;
          order[behind++] = child;
          continue;
        }
        for (siblings.length = 0; child >= 0; child = next[child]) siblings.push(child);
        siblings.sort((a, b) => width[b] - width[a] || a - b);
        for (const sibling of siblings) {
          this.start[sibling] = at;
          at += width[sibling];
          order[behind++] = sibling;
        }
      }
      from = end;
      end = behind;
    }
  }

  // The first position in a level whose node ends behind `at`.
  search(level, at) {
    const nodes = this.levels[level];
    let low = 0;
    let high = nodes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const node = nodes[middle];
      if (this.start[node] + this.width[node] <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  path(node) {
    const found = [];
    for (let at = node; ; at = this.parent[at]) {
      found.push(at);
      if (at === 0) return found.reverse();
    }
  }

  isBelow(node, ancestor) {
    while (this.level[node] > this.level[ancestor]) node = this.parent[node];
    return node === ancestor;
  }
}

function sums(parent, self) {
  const total = Float64Array.from(self);
  for (let node = total.length - 1; node > 0; node--) total[parent[node]] += total[node];
  return total;
}

// How to get the tree of a track, made from its columns when it is first asked for: see
// Columns.packed.
function treesOf(words, tracks, isCompared) {
  const columns = isCompared ? 10 : 6;
  const first = [0];
  for (const {rows} of tracks) first.push(first.at(-1) + rows * columns);
  const made = new Map();
  return (track) => {
    if (!made.has(track)) {
      made.set(track, treeFrom(words, first[track], tracks[track].rows, isCompared));
    }
    return made.get(track);
  };
}

function treeFrom(words, at, rows, isCompared) {
  const take = () => words.subarray(at, (at += rows));
  const parent = new Int32Array(rows + 1);
  const up = take();
  for (let row = 0; row < rows; row++) parent[row + 1] = row + 1 - up[row];
  const func = new Int32Array(rows + 1);
  func[0] = -1;
  func.set(take(), 1);
  const values = () => {
    const column = new Float64Array(rows + 1);
    const low = take();
    const high = take();
    for (let row = 0; row < rows; row++) column[row + 1] = high[row] * 4294967296 + low[row];
    return column;
  };
  const self = values();
  const calls = values();
  const before = isCompared ? {self: values(), calls: values()} : null;
  return new Tree(parent, func, self, calls, before);
}

class Builder {
  constructor(hasBefore) {
    this.parent = [0];
    this.func = [-1];
    this.self = [0];
    this.calls = [0];
    this.selfBefore = hasBefore ? [0] : null;
    this.callsBefore = hasBefore ? [0] : null;
    this.known = new Map();
  }

  child(parent, func) {
    const key = parent * 16777216 + func;
    let node = this.known.get(key);
    if (node === undefined) {
      node = this.parent.length;
      this.known.set(key, node);
      this.parent.push(parent);
      this.func.push(func);
      for (const column of [this.self, this.calls, this.selfBefore, this.callsBefore]) {
        column?.push(0);
      }
    }
    return node;
  }

  tree() {
    const before = this.selfBefore && {
      self: Float64Array.from(this.selfBefore),
      calls: Float64Array.from(this.callsBefore),
    };
    return new Tree(Int32Array.from(this.parent), Int32Array.from(this.func),
      Float64Array.from(this.self), Float64Array.from(this.calls), before);
  }
}

// The same calls of several threads, added up.
function merged(trees) {
  if (trees.length === 1) return trees[0];
  const builder = new Builder(trees.some((tree) => tree.before));
  for (const tree of trees) {
    const place = new Int32Array(tree.size);
    for (let node = 1; node < tree.size; node++) {
      const to = builder.child(place[tree.parent[node]], tree.func[node]);
      place[node] = to;
      builder.self[to] += tree.self[node];
      builder.calls[to] += tree.calls[node];
      if (tree.before) {
        builder.selfBefore[to] += tree.before.self[node];
        builder.callsBefore[to] += tree.before.calls[node];
      }
    }
  }
  return builder.tree();
}

const MOST_CALLERS = 128; // levels of the inverted tree: deeper callers are not told apart
const MOST_INVERTED = 400000;

// Upside down: functions by their self time, and above each who called it.
function inverted(tree) {
  const builder = new Builder(Boolean(tree.before));
  for (let node = 1; node < tree.size; node++) {
    const before = tree.before;
    if (!(tree.self[node] > 0) && !(before && before.self[node] > 0)) continue;
    let to = 0;
    let levels = MOST_CALLERS;
    for (let at = node; at !== 0 && levels-- > 0; at = tree.parent[at]) {
      if (builder.parent.length > MOST_INVERTED && to !== 0) break;
      to = builder.child(to, tree.func[at]);
      builder.calls[to] += tree.calls[node];
      if (before) builder.callsBefore[to] += before.calls[node];
    }
    builder.self[to] += tree.self[node];
    if (before) builder.selfBefore[to] += before.self[node];
  }
  return builder.tree();
}

// For each function that occurs: self time, total time (recursion once) and calls.
function functionsOf(tree) {
  const {func, before} = tree;
  const open = outermost(tree);
  const rows = [];
  for (let node = 1; node < tree.size; node++) {
    let row = rows[func[node]];
    if (row === undefined) {
      row = {
        func: func[node],
        self: 0, total: 0, calls: 0, selfBefore: 0, totalBefore: 0, callsBefore: 0,
      };
      rows[func[node]] = row;
    }
    row.self += tree.self[node];
    row.calls += tree.calls[node];
    if (open[node]) row.total += tree.total[node];
    if (before) {
      row.selfBefore += before.self[node];
      row.callsBefore += before.calls[node];
      if (open[node]) row.totalBefore += tree.totalBefore[node];
    }
  }
  return rows.filter((row) => row);
}

// Whether no node of the same function is around a node: one walk, with the functions that are open.
function outermost(tree) {
  const {first, next, func} = tree;
  const open = new Uint8Array(tree.size);
  const active = new Int32Array(tree.func.reduce((most, one) => Math.max(most, one), 0) + 1);
  for (let node = first[0]; node > 0;) {
    open[node] = active[func[node]]++ === 0 ? 1 : 0;
    if (first[node] >= 0) {
      node = first[node];
      continue;
    }
    for (; node > 0; node = tree.parent[node]) {
      active[func[node]]--;
      if (next[node] >= 0) break;
    }
    node = node > 0 ? next[node] : 0;
  }
  return open;
}
