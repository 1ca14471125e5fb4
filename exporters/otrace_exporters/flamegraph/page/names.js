// The functions of a page: parallel lists, with module, file and kind by number.

class Names {
  constructor(data, root) {
    this.data = data;
    this.root = root;
    this.shown = new Map();
  }

  get size() {
    return this.data.name.length;
  }

  name(func) {
    if (func < 0) return this.root;
    let text = this.shown.get(func);
    if (text === undefined) {
      text = visible(this.data.name[func]);
      this.shown.set(func, text);
    }
    return text;
  }

  // Without its module.
  short(func) {
    return func < 0 ? this.root : this.name(func).slice(this.data.cut[func]);
  }

  file(func) {
    return func < 0 ? "" : this.data.files[this.data.file[func]];
  }

  line(func) {
    return func < 0 ? 0 : this.data.line[func];
  }

  group(func) {
    return this.data.group[func];
  }

  // From -1 to 1, the same for all functions of a module.
  shade(func) {
    const text = this.data.name[func].slice(0, this.data.cut[func]) || this.file(func);
    let hash = 2166136261;
    for (let at = 0; at < text.length; at++) {
      hash = Math.imul(hash ^ text.charCodeAt(at), 16777619);
    }
    return ((hash >>> 8) % 201) / 100 - 1;
  }

  // 1 for each function whose name or file contains the words; null for no words.
  search(words) {
    const wanted = words.trim().toLowerCase();
    if (!wanted) return null;
    const files = this.data.files.map((file) => file.toLowerCase().includes(wanted));
    const found = new Uint8Array(this.size);
    for (let func = 0; func < found.length; func++) {
      const hit = files[this.data.file[func]] || this.data.name[func].toLowerCase().includes(wanted);
      found[func] = hit ? 1 : 0;
    }
    return found;
  }
}

// A chosen frame in numbers: pairs of a word and a value.
function factsOf(tree, node) {
  const whole = tree.total[0];
  const facts = [
    ["Total", `${duration(tree.total[node])} · ${percent(tree.total[node], whole)}`],
    ["Self", `${duration(tree.self[node])} · ${percent(tree.self[node], whole)}`],
  ];
  if (node !== 0) {
    const calls = tree.calls[node];
    facts.push(["Calls", count(calls)]);
    if (calls > 1) facts.push(["Mean", duration(tree.total[node] / calls)]);
  }
  if (tree.before) {
    const moved = tree.total[node] - tree.totalBefore[node];
    facts.push(["Before", duration(tree.totalBefore[node])]);
    facts.push(["Change", signed(moved)]);
    if (node !== 0) facts.push(["Calls before", count(tree.before.calls[node])]);
  }
  return facts;
}

function describer(names, current) {
  return (node) => {
    const tree = current();
    const func = tree.func[node];
    const list = element("dl");
    for (const [word, value] of factsOf(tree, node)) {
      list.append(element("dt", {}, word), element("dd", {}, value));
    }
    const where = place(names.file(func), names.line(func));
    return [
      element("strong", {}, names.name(func)),
      ...(where ? [element("span", {class: "where"}, where)] : []),
      list,
    ];
  };
}

// The trees that a person can choose between: everything, a process, a thread, a task. Of those
// whose `tasks` is not 0, threads have the calls, too.
class Choice {
  constructor(tracks, treeOf) {
    this.tracks = tracks;
    this.treeOf = treeOf;
    this.cache = new Map();
  }

  fill(select) {
    const {tracks} = this;
    const threads = tracks.filter((track) => !track.tasks);
    if (threads.length > 1) {
      select.append(element("option", {value: "all"}, `All ${threads.length} threads, merged`));
    }
    const option = (track) => element("option", {value: String(tracks.indexOf(track))},
      visible(track.name) + (track.tasks > 1 ? ` (${count(track.tasks)} tasks)` : ""));
    const processes = [...new Set(tracks.map((track) => track.process))];
    this.processes = processes;
    for (const process of processes) {
      const one = processes.length === 1;
      const group = one ? select : element("optgroup", {label: visible(process)});
      const own = threads.filter((track) => track.process === process);
      if (!one && own.length > 1) {
        const value = `process ${processes.indexOf(process)}`;
        group.append(element("option", {value}, "The whole process, merged"));
      }
      group.append(...own.map(option));
      if (!one) select.append(group);
      const tasks = tracks.filter((track) => track.tasks && track.process === process);
      if (tasks.length) {
        const label = one ? "Tasks" : `Tasks of ${visible(process)}`;
        select.append(element("optgroup", {label}, ...tasks.map(option)));
      }
    }
    select.hidden = tracks.length < 2;
  }

  // Says so where there is nothing to choose.
  noteEmpty(stage) {
    if (this.tracks.length) return;
    stage.append(element("p", {class: "nothing"}, "No calls were recorded."));
  }

  tree(value, upsideDown) {
    const key = `${value} ${upsideDown}`;
    if (!this.cache.has(key)) {
      const tree = upsideDown ? inverted(this.tree(value, false)) : merged(this.of(value));
      this.cache.set(key, tree);
    }
    return this.cache.get(key);
  }

  of(value) {
    const {tracks} = this;
    const process = value.startsWith("process ") && this.processes[Number(value.slice(8))];
    const chosen = (track, at) => value === String(at) ||
      (!track.tasks && (value === "all" || track.process === process));
    return [...tracks.keys()].filter((at) => chosen(tracks[at], at)).map(this.treeOf);
  }
}
