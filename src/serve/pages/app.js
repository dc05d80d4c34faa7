// SPDX-License-Identifier: Apache-2.0
// The dashboard. Data of sandboxes becomes text nodes only; the key lives in this tab's session
// storage and goes out in headers.
const POLL_MS = 2000;
const KEY = "sandboxes.key";
const $ = (id) => document.getElementById(id);
const rows = new Map(); // id -> {row, cells, box}
let key = sessionStorage.getItem(KEY) || "";
let timer = 0;
let state = {};
let shown = null; // {id, close}

class Refused extends Error {}

async function ask(method, path, body) {
  const headers = key ? { "X-API-Key": key } : {};
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch("/dashboard/api" + path,
    { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  const data = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.status === 401) throw new Refused(data?.message || "the key is refused");
  if (!answer.ok) throw new Error(data?.message || `the server says ${answer.status}`);
  return data;
}

function tell(text) {
  $("trouble").hidden = !text;
  $("trouble").textContent = text || "";
}

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// --- Numbers for people

function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; count >= 1000 && at < units.length - 1; at++) count /= 1024;
  return `${count >= 10 || at === 0 ? Math.round(count) : count.toFixed(1)} ${units[at]}`;
}

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

// --- Rows

function button(text, className, action) {
  const element = make("button", text, className);
  element.addEventListener("click", action);
  return element;
}

function makeRow(box) {
  const row = make("tr");
  const cells = {};
  for (const [name, title] of [["box"], ["cpu", "CPU"], ["memory", "Memory"], ["age", "Age"], ["labels"], ["actions"]]) {
    cells[name] = row.appendChild(make("td", undefined, name === "labels" || name === "actions" ? name : ["cpu", "memory", "age"].includes(name) ? "number" : ""));
    if (title) cells[name].dataset.title = title;
  }
  row.dataset.id = box.id;
  const actions = cells.actions.appendChild(make("div", undefined, "row"));
  actions.append(button("Logs", "", () => openLogs(box.id)));
  if (state.terminal) actions.append(button("Terminal", "terminal", () => openTerminal(box.id)));
  actions.append(button("Stop", "danger", (event) => stop(box.id, event.target)));
  return { row, cells, box: null };
}

function meter(value, most) {
  const element = make("meter");
  element.max = most;
  element.value = value;
  element.high = most * 0.9;
  return element;
}

function fillRow(entry, box, now) {
  const { cells } = entry;
  const name = make("span", box.id, "id");
  cells.box.replaceChildren(name, make("small", `${box.template}, ${box.api}`),
    make("span", box.state, "state " + box.state));
  if (box.name && box.name !== box.id) cells.box.prepend(make("div", box.name));
  const before = entry.box;
  if (before && before.now !== now && box.cpuUsec !== undefined) {
    const percent = (box.cpuUsec - before.cpuUsec) / (now - before.now) / 10;
    cells.cpu.replaceChildren(`${Math.max(0, percent).toFixed(percent < 10 ? 1 : 0)} %`,
      make("small", `of ${(box.cpuMillis || 1000) / 10} %`));
  } else if (!before) {
    cells.cpu.textContent = "…";
  }
  if (box.memory !== undefined) {
    cells.memory.replaceChildren(bytes(box.memory));
    if (box.memoryLimit) cells.memory.append(meter(box.memory, box.memoryLimit), make("small", `of ${bytes(box.memoryLimit)}`));
    if (box.oomKills) cells.memory.append(make("small", "ran out of memory"));
  }
  cells.age.replaceChildren(span(now - box.created),
    make("small", box.end ? `${span(box.end - now)} left` : "no end"));
  cells.labels.replaceChildren(...Object.entries(box.labels).map(([k, v]) => make("span", `${k}=${v}`, "label")));
  entry.box = { cpuUsec: box.cpuUsec, now };
}

function show(data) {
  const living = new Set(data.sandboxes.map((box) => box.id));
  for (const [id, entry] of rows)
    if (!living.has(id)) {
      entry.row.remove();
      rows.delete(id);
    }
  data.sandboxes.forEach((box, at) => {
    if (!rows.has(box.id)) rows.set(box.id, makeRow(box));
    const entry = rows.get(box.id);
    fillRow(entry, box, data.now);
    if ($("boxes").children[at] !== entry.row) $("boxes").insertBefore(entry.row, $("boxes").children[at] || null);
  });
  $("table").hidden = data.count === 0;
  $("empty").hidden = data.count > 0;
  const more = data.count > data.sandboxes.length ? `, ${data.sandboxes.length} shown` : "";
  $("summary").textContent = `${data.count} alive${more}`;
}

function fillTemplates(names) {
  if ($("template").children.length === names.length) return;
  $("template").replaceChildren(...names.map((name) => make("option", name)));
}

async function refresh() {
  clearTimeout(timer);
  try {
    state = await ask("GET", "/sandboxes");
    $("login").hidden = true;
    $("new").hidden = false;
    $("leave").hidden = !key;
    fillTemplates(state.templates);
    show(state);
    tell("");
  } catch (error) {
    if (error instanceof Refused) {
      leave(key ? error.message : "");
      return;
    }
    tell(error instanceof TypeError ? "The server does not answer. Trying again." : error.message);
  }
  timer = setTimeout(refresh, document.hidden ? 5 * POLL_MS : POLL_MS);
}

function leave(message) {
  clearTimeout(timer);
  closePanel();
  key = "";
  sessionStorage.removeItem(KEY);
  rows.clear();
  $("boxes").replaceChildren();
  for (const id of ["new", "leave", "table", "empty", "create"]) $(id).hidden = true;
  $("summary").textContent = "";
  $("login").hidden = false;
  $("key").focus();
  tell(message);
}

// --- Create, stop

function readLabels(text) {
  const labels = {};
  for (const line of text.split("\n").map((l) => l.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`'${line}' is no name=value`);
    labels[line.slice(0, at)] = line.slice(at + 1);
  }
  return labels;
}

async function create(event) {
  event.preventDefault();
  try {
    await ask("POST", "/sandboxes", { template: $("template").value,
      timeout: 60 * Number($("minutes").value), labels: readLabels($("labels").value) });
    $("create").hidden = true;
    refresh();
  } catch (error) {
    tell(error.message);
  }
}

// The first click asks, the second one does it.
async function stop(id, target) {
  if (target.textContent === "Stop") {
    target.textContent = "Really stop?";
    setTimeout(() => { target.textContent = "Stop"; }, 4000);
    return;
  }
  target.disabled = true;
  try {
    await ask("DELETE", "/sandboxes/" + encodeURIComponent(id));
  } catch (error) {
    tell(error.message);
  }
  if (shown?.id === id) closePanel();
  refresh();
}

// --- Panel

function closePanel() {
  shown?.close();
  shown = null;
  $("panel").hidden = $("logs").hidden = $("terminal").hidden = true;
}

function openPanel(id, title, part, close) {
  closePanel();
  shown = { id, close };
  $("panel-title").textContent = title;
  $("panel").hidden = $(part).hidden = false;
}

function addLine(line) {
  const p = make("p", undefined, line.kind);
  p.append(make("time", new Date(line.time).toLocaleTimeString()), line.text);
  $("logs").append(p);
  while ($("logs").children.length > 1000) $("logs").firstChild.remove();
}

function openLogs(id) {
  let next = 0, again = 0, open = true;
  $("logs").replaceChildren();
  openPanel(id, `Logs of ${id}`, "logs", () => { open = false; clearTimeout(again); });
  async function more() {
    try {
      const data = await ask("GET", `/sandboxes/${encodeURIComponent(id)}/logs?from=${next}`);
      if (!open) return;
      const logs = $("logs"), below = logs.scrollTop + logs.clientHeight > logs.scrollHeight - 40;
      data.lines.forEach(addLine);
      next = data.next;
      if (below && data.lines.length) logs.scrollTop = logs.scrollHeight;
    } catch (error) {
      if (open) addLine({ time: Date.now(), kind: "stderr", text: error.message });
      return;
    }
    again = setTimeout(more, POLL_MS / 2);
  }
  more();
}

function load(path) {
  return new Promise((done, fail) => {
    const script = make("script");
    script.src = path;
    script.onload = done;
    script.onerror = () => fail(new Error("the terminal cannot be loaded"));
    document.head.append(script);
  });
}

// The terminal's own style elements carry the nonce that the page's policy wants.
function blessStyles() {
  const nonce = $("style").nonce, plain = document.createElement.bind(document);
  document.createElement = (tag, options) => {
    const element = plain(tag, options);
    if (String(tag).toLowerCase() === "style") element.nonce = nonce;
    return element;
  };
}

let terminalReady = null;

function loadTerminal() {
  terminalReady ||= (async () => {
    blessStyles();
    const sheet = make("link");
    sheet.rel = "stylesheet";
    sheet.href = "/dashboard/xterm.css";
    document.head.append(sheet);
    await load("/dashboard/xterm.js");
    await load("/dashboard/addon-fit.js");
  })();
  return terminalReady;
}

async function openTerminal(id) {
  try {
    await loadTerminal();
  } catch (error) {
    tell(error.message);
    return;
  }
  const term = new window.Terminal({ cursorBlink: true, fontSize: 14, theme: { background: "#101418" } });
  const fit = new window.FitAddon.FitAddon();
  const protocols = ["sandboxes.terminal"];
  if (key) protocols.push("key." + key);
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`
    + `/dashboard/api/sandboxes/${encodeURIComponent(id)}/terminal`, protocols);
  socket.binaryType = "arraybuffer";
  const resize = () => fit.fit();
  const watch = new ResizeObserver(resize);
  openPanel(id, `Terminal in ${id}`, "terminal", () => {
    watch.disconnect();
    socket.close();
    term.dispose();
  });
  const encoder = new TextEncoder();
  const size = () => socket.readyState === WebSocket.OPEN
    && socket.send(JSON.stringify({ rows: term.rows, cols: term.cols }));
  term.loadAddon(fit);
  term.open($("terminal"));
  term.onResize(size);
  term.onData((data) => socket.readyState === WebSocket.OPEN && socket.send(encoder.encode(data)));
  watch.observe($("terminal"));
  socket.onopen = () => { resize(); size(); term.focus(); };
  socket.onmessage = (event) => term.write(new Uint8Array(event.data));
  socket.onclose = (event) => term.write(`\r\n[${event.reason || "the connection ended"}]\r\n`);
  window.term = term; // for the console, and tests
}

// --- Start

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  $("key").value = "";
  sessionStorage.setItem(KEY, key);
  refresh();
});
$("leave").addEventListener("click", () => leave(""));
$("new").addEventListener("click", () => {
  $("create").hidden = !$("create").hidden;
  if (!$("create").hidden) $("template").focus();
});
$("cancel").addEventListener("click", () => { $("create").hidden = true; });
$("create").addEventListener("submit", create);
$("close").addEventListener("click", closePanel);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shown && $("terminal").hidden) closePanel();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && $("login").hidden) refresh(); });
refresh();
