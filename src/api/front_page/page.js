// Shows a hive as it works: signs in, opens a session over the WebSocket, and takes it up where it was when it breaks.
// Whatever comes from the hive becomes text of a node, never markup.
"use strict";

const KEY = "agent-hive-token";
const TOPICS = "agents,alerts,coordination,system,tasks";
const ROWS_MAX = 20;
const EVENTS_MAX = 100;
const REFRESH_MS = 400;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 10000;
const ANSWER_MAX_MS = 10000;
const SILENCE_MAX_MS = 65000; // the hive speaks at least every 30 s
const byId = (id) => document.getElementById(id);

let token = "";
let socket;
let place = ""; // epoch:offset of the last frame that counted
let tries = 0;
let turn = 0; // which try to connect counts: whoever waited for an answer of an older one gives up
let timer;
let silence;
let refresh;
let hive; // version, when it started
const totals = {};
const tasks = new Map();
const titles = new Map(); // of tasks that events told of, also when they are not among the newest any more
const agents = new Map();
const alerts = new Map();

/** A node: its name (`tag.class`), then texts and nodes. */
function node(name, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  made.classList.add(...classes);
  made.append(...children.map((child) => child ?? ""));
  return made;
}

const count = (number) => (number ?? 0).toLocaleString("en");

function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

const TONES = {
  completed: "good", idle: "good", healthy: "good", working: "busy", scheduled: "warn", draining: "warn", stalled: "warn",
  degraded: "warn", failed: "bad", offline: "bad", unhealthy: "bad",
};
const toned = (word) => (TONES[word] ? node(`span.${TONES[word]}`, word) : word ?? "–");

// ---- signing in

function remember(given) {
  token = given;
  try {
    if (given) sessionStorage.setItem(KEY, given);
    else sessionStorage.removeItem(KEY);
  } catch { /* a browser that keeps nothing: the token lives as long as the page */ }
}

/** The token of a link, which leaves the address bar at once; else the one of this tab. */
function known() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  if (given) remember(given.trim());
  try {
    return token || sessionStorage.getItem(KEY) || "";
  } catch {
    return token;
  }
}

function say(state, words) {
  const shown = byId("connection");
  shown.dataset.state = state;
  if (shown.textContent !== words) shown.textContent = words;
}

function signOut(why) {
  remember("");
  close();
  for (const kept of [tasks, titles, agents, alerts]) kept.clear();
  for (const name of Object.keys(totals)) delete totals[name];
  for (const id of ["events", "facts", "tasks", "agents", "alerts", "totals"]) byId(id).replaceChildren();
  place = "";
  byId("live").hidden = true;
  byId("sign-out").hidden = true;
  byId("sign-in").hidden = false;
  byId("refusal").textContent = why;
  say(why ? "refused" : "out", "not signed in");
  byId("token").value = "";
  byId("token").focus();
}

function signIn() {
  byId("refusal").textContent = "";
  byId("sign-in").hidden = true;
  byId("sign-out").hidden = false;
  tries = 0;
  connect();
}

// ---- the session

function close() {
  turn += 1;
  clearTimeout(timer);
  clearTimeout(silence);
  clearTimeout(refresh);
  refresh = undefined;
  const old = socket;
  socket = undefined;
  if (old) old.close();
}

/** Again, after a pause that grows, and is never the same for two. */
function later() {
  close();
  const longest = Math.min(PAUSE_MIN_MS * 2 ** tries, PAUSE_MAX_MS);
  tries += 1;
  say("away", "reconnecting");
  timer = setTimeout(connect, longest * (0.5 + Math.random() / 2));
}

/** A browser is not told why a handshake was refused, so the token is shown to an ordinary route first. */
async function connect() {
  close();
  if (tries === 0) say("away", "connecting");
  if (!token) return undefined;
  const mine = turn;
  const asked = { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MAX_MS) };
  let answer;
  let told;
  try {
    answer = await fetch("/api/v2/system", asked);
    if (answer.ok) told = await answer.json();
  } catch {
    return mine === turn ? later() : undefined;
  }
  if (mine !== turn) return undefined;
  if (told) hive = told;
  if (answer.status === 401) return signOut("This token is not valid here. Is it of this hive, and whole?");
  if (answer.status === 403) return signOut("This key may not watch the hive: it needs the role viewer or more.");
  if (!answer.ok) return later();
  return open();
}

function open() {
  const address = new URL("/api/dashboard/ws/dashboard", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("subscriptions", TOPICS);
  if (place) address.searchParams.set("resume", place);
  let opened;
  try {
    opened = new WebSocket(address, ["agent-hive", `bearer.${token}`]);
  } catch {
    return signOut("This is no token: it holds characters that no token has.");
  }
  socket = opened;
  const listen = (name, hear) => opened.addEventListener(name, (event) => socket === opened && hear(event));
  listen("message", ({ data }) => {
    watchSilence();
    hear(JSON.parse(data));
  });
  listen("close", ({ code }) => {
    if (code === 4401) signOut("This token is not valid any more.");
    else if (code === 4403) signOut("An operator closed this session, or the role does not allow it.");
    else later();
  });
  return watchSilence();
}

function watchSilence() {
  clearTimeout(silence);
  silence = setTimeout(later, SILENCE_MAX_MS);
}

function ask(data_type, params) {
  if (socket && socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ type: "request_data", data_type, params, correlation_id: data_type }));
  }
}

function askAll() {
  refresh = undefined;
  ask("task_list", { limit: ROWS_MAX });
  ask("agent_status");
}

/** Soon, and not for each of many events. */
function refreshSoon() {
  refresh ??= setTimeout(askAll, REFRESH_MS);
}

const RANGE = (frame) => (frame.from === frame.to ? `event ${frame.from} was` : `events ${frame.from} to ${frame.to} were`);

function hear(frame) {
  switch (frame.type) {
    case "connection_established":
      // Its offset is where the log stands, not what was seen of it.
      tries = 0;
      say("live", "live");
      byId("live").hidden = false;
      // Whoever begins to hear alerts is told what is raised.
      alerts.clear();
      showAlerts();
      showFacts();
      askAll();
      return undefined;
    case "dashboard_initialized":
      Object.assign(totals, frame.snapshot);
      showTotals();
      break;
    case "resumed":
      if (!frame.recovered) addNote("the log does not reach back to what was seen last; what happened between is not shown");
      break;
    case "events_skipped":
      addNote(`${RANGE(frame)} left out: this page did not keep up`);
      refreshSoon();
      break;
    case "critical_alert":
      for (const alert of frame.data.alerts) {
        // A message begins with its cause; the figures behind it change.
        const [cause] = alert.message.split(":");
        if (alert.level === "resolved") alerts.delete(cause);
        else alerts.set(cause, alert);
      }
      return showAlerts();
    case "operator_message":
      return addNote(`operator: ${frame.data?.message ?? JSON.stringify(frame.data)}`);
    case "data_response":
      return take(frame);
    case "data_error":
    case "error":
      return addNote(`the hive refused: ${frame.error ?? frame.message}`);
    default:
      if (frame.type.endsWith("_update")) {
        totals[frame.subscription] = frame.data;
        showTotals();
      } else if (frame.type.endsWith("_event")) {
        addEvent(frame.data);
        refreshSoon();
      }
  }
  // A place that counts is one up to which everything has come.
  if (frame.offset !== undefined) {
    place = `${frame.epoch}:${frame.offset}`;
    byId("place").textContent = `up to ${count(frame.offset)}`;
  }
  return undefined;
}

function take({ data_type, data }) {
  if (data_type === "task_list") {
    tasks.clear();
    for (const task of data.items) {
      tasks.set(task.id, task);
      titles.set(task.id, task.title);
    }
    while (titles.size > 10 * EVENTS_MAX) titles.delete(titles.keys().next().value);
  } else if (data_type === "agent_status") {
    agents.clear();
    for (const agent of data.agents) agents.set(agent.id, agent);
    byId("agents-count").textContent = data.total ? count(data.total) : "";
  }
  showTables();
}

// ---- what is shown

function showFacts() {
  const up = hive ? span(Date.now() - Date.parse(hive.started_at)) : "";
  byId("facts").textContent = hive ? `${hive.version} at ${location.host}, up ${up}` : "";
}

function showTotals() {
  const { tasks: t, agents: a, coordination: c, system: s } = totals;
  const rate = c && c.success_rate !== null ? `${(c.success_rate * 100).toFixed(1)} %` : "–";
  const tiles = [
    ["Tasks waiting", t && count(t.queue_length)],
    ["At work", t && count(t.in_progress)],
    ["Failed in 1 min", t && count(t.failed_recent), t && t.failed_recent > 0 && "bad"],
    ["Stored", c && count(c.total_tasks)],
    ["Success", c && rate],
    ["Agents active", a && count(a.active_count), a && a.health_summary.degraded > 0 && "warn"],
    ["Hive", s && s.overall_health, s && `word.${TONES[s.overall_health] ?? "faint"}`],
    ["Database", s && s.database_status, s && `word.${TONES[s.database_status] ?? "faint"}`],
  ];
  const tile = ([name, value, tone]) => node("div", node("dt", name), node(tone ? `dd.${tone}` : "dd", value ?? "–"));
  byId("totals").replaceChildren(...tiles.map(tile));
}

function showAlerts() {
  const item = (alert) => node("p", node("strong", alert.message), alert.action ?? "");
  byId("alerts").replaceChildren(...[...alerts.values()].map(item));
}

function rows(id, items, columns, none) {
  const cells = (item) => node("tr", ...columns.map(([name, read]) => node(name, read(item))));
  const empty = node("td.none", none);
  empty.colSpan = columns.length;
  byId(id).replaceChildren(...(items.length ? items.map(cells) : [node("tr", empty)]));
}

const agentName = (id) => (id ? agents.get(id)?.name ?? id : "–");
const moved = (task) => task.finished_at ?? task.started_at ?? task.created_at;

function showTables() {
  rows("tasks", [...tasks.values()], [
    ["td", (task) => toned(task.state)],
    ["td.name", (task) => task.title],
    ["td", (task) => task.queue],
    ["td", (task) => agentName(task.agent_id)],
    ["td", (task) => `${task.attempt} of ${task.attempts_max}`],
    ["td", (task) => span(Date.now() - Date.parse(moved(task)))],
  ], "No tasks yet: hive task submit \"Say hello\"");
  byId("tasks-count").textContent = tasks.size ? `the newest ${tasks.size}` : "";
  const byName = [...agents.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  rows("agents", byName, [
    ["td", (agent) => toned(agent.state)],
    ["td.name", (agent) => agent.name],
    ["td", (agent) => agent.role],
    ["td", (agent) => `${count(agent.working)} of ${count(agent.capacity)}`],
    ["td", (agent) => count(agent.completed)],
    ["td", (agent) => (agent.failed ? node("span.bad", count(agent.failed)) : "0")],
  ], "No agents yet: hive agent add ada -- cat");
  // An event may come before the title of its task and the name of its agent.
  for (const item of byId("events").children) {
    if (item.told) item.lastElementChild.textContent = about(item.told);
  }
}

function add(item) {
  const list = byId("events");
  list.prepend(item);
  while (list.childElementCount > EVENTS_MAX) list.lastElementChild.remove();
}

function addNote(words) {
  add(node("li", node("span.warn", words)));
}

function about(event) {
  const title = titles.get(event.task_id) ?? event.task_id;
  return [title, event.agent_id && agentName(event.agent_id), event.queue].filter(Boolean).join("  ·  ");
}

function addEvent(event) {
  const end = event.kind.split(".")[1];
  const tone = { completed: "good", failed: "bad", started: "busy", retrying: "warn", canceled: "warn" }[end];
  const kind = node("span.kind", tone ? node(`span.${tone}`, event.kind) : event.kind);
  const item = node("li", node("span.faint", String(event.seq)), node("span.faint", new Date(event.at).toLocaleTimeString([], { hour12: false })), kind,
    node("span.rest", about(event)));
  item.dataset.seq = event.seq;
  item.told = event;
  add(item);
}

// ---- the beginning

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("token").value.trim();
  if (!given) return;
  remember(given);
  byId("token").value = "";
  signIn();
});
byId("sign-out").addEventListener("click", () => signOut(""));
addEventListener("hashchange", () => {
  const before = token;
  token = known();
  if (token !== before) {
    place = "";
    signIn();
  }
});
addEventListener("online", () => token && tries > 0 && connect());
setInterval(() => {
  if (byId("live").hidden) return;
  showFacts();
  showTables();
}, 10000);
token = known();
if (token) signIn();
else signOut("");
