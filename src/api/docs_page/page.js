// Shows the OpenAPI document of this hive and tries its operations. Whatever comes from the document or from an answer
// becomes text of a node, never markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEPTH_MAX = 6;
const byId = (id) => document.getElementById(id);
let contract;

/** A node: its name (`tag.class.class`), attributes and listeners, then texts and nodes. */
function node(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  made.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** A text in which `code` stands between backquotes. */
function prose(text, name = "span") {
  const parts = (text || "").split("`").map((part, place) => (place % 2 ? node("code", {}, part) : part));
  return node(name, {}, ...parts);
}

const resolved = (schema) =>
  schema && schema.$ref ? schema.$ref.slice(2).split("/").reduce((at, key) => at[key], contract) : schema || {};
const nameOf = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");

/** Without the `null` that stands beside an optional value. */
function present(schema) {
  const options = (schema.oneOf || []).filter((option) => option.type !== "null");
  return schema.oneOf && options.length === 1 ? options[0] : schema;
}

function typeOf(given) {
  const schema = present(given);
  const inner = resolved(schema);
  const name = nameOf(schema);
  if (inner.const !== undefined) return JSON.stringify(inner.const);
  if (inner.type === "array" || (Array.isArray(inner.type) && inner.type.includes("array"))) {
    return `list of ${typeOf(inner.items || {})}`;
  }
  const types = [].concat(inner.type || []).filter((type) => type !== "null");
  const text = types.join(" or ") || (inner.oneOf ? "one of" : "any JSON");
  return name && types[0] !== "object" && !inner.oneOf ? `${name} (${text})` : name || text;
}

function limits(given) {
  const schema = resolved(present(given));
  const said = [];
  if (schema.enum) said.push(schema.enum.join(", "));
  if (schema.format && !schema.format.startsWith("int")) said.push(schema.format);
  if (schema.minimum !== undefined && schema.minimum !== 0) said.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) said.push(`at most ${schema.maximum}`);
  if (schema.minLength) said.push(`at least ${schema.minLength} characters`);
  if (schema.maxLength) said.push(`at most ${schema.maxLength} characters`);
  if (schema.minItems) said.push(`at least ${schema.minItems} items`);
  if (schema.maxItems) said.push(`at most ${schema.maxItems} items`);
  if (schema.pattern && !nameOf(present(given))) said.push(schema.pattern);
  return said.join("; ");
}

/** The fields of a schema, each with what is below it. */
function fields(given, depth = 0) {
  const schema = resolved(present(given));
  if (depth > DEPTH_MAX) return undefined;
  if (schema.type === "array") return fields(schema.items || {}, depth + 1);
  const options = schema.oneOf || schema.allOf;
  if (options) {
    const lists = options.map((option) => fields(option, depth + 1)).filter(Boolean);
    return lists.length ? node("div", {}, ...lists) : undefined;
  }
  if (!schema.properties) return undefined;
  const required = new Set(schema.required || []);
  const item = ([name, property]) => {
    const below = fields(property, depth + 1);
    const said = [typeOf(property), limits(property)].filter(Boolean).join("; ");
    const head = [node(required.has(name) ? "code.required" : "code", {}, name), " ", node("span.faint", {}, said)];
    const about = property.description || present(property).description || resolved(present(property)).description;
    const words = about ? node("div", {}, prose(about)) : undefined;
    if (!below) return node("li", {}, ...head, words);
    return node("li", {}, ...head, words, node("details", {}, node("summary.faint", {}, "fields"), below));
  };
  return node("ul.schema", {}, ...Object.entries(schema.properties).map(item));
}

function exampleOf(operation) {
  const content = resolved(operation.requestBody || {}).content;
  if (!content) return undefined;
  const schema = resolved(present(content["application/json"].schema));
  return schema.examples ? schema.examples[0] : {};
}

function parameters(operation, inputs) {
  const rows = (operation.parameters || []).map((parameter) => {
    const input = node("input", { "aria-label": parameter.name, spellcheck: "false", name: parameter.name });
    inputs.push({ parameter, input });
    const said = [typeOf(parameter.schema), limits(parameter.schema)].filter(Boolean).join("; ");
    const name = node(parameter.required ? "code.required" : "code", {}, parameter.name);
    return node("tr", {}, node("td", {}, name, node("div.faint", {}, parameter.in)),
      node("td", {}, prose(parameter.description), node("div.faint", {}, said), input));
  });
  return rows.length ? [node("h4", {}, "Parameters"), node("table", {}, node("tbody", {}, ...rows))] : [];
}

function answers(operation) {
  const row = ([status, response]) => {
    const [kind, content] = Object.entries(response.content || {})[0] || [];
    const below = content && status < "400" ? fields(content.schema || {}) : undefined;
    const shown = content && content.schema ? node("div.faint", {}, `${kind}: ${typeOf(content.schema)}`) : undefined;
    const more = below ? node("details", {}, node("summary.faint", {}, "fields"), below) : undefined;
    return node("tr", {}, node("td", {}, node(status < "400" ? "code.good" : "code.bad", {}, status)),
      node("td", {}, prose(response.description), shown, more));
  };
  return [node("h4", {}, "Answers"), node("table", {}, node("tbody", {}, ...Object.entries(operation.responses).map(row)))];
}

/** What a form asks for: the address, headers and body. */
function request(path, inputs, area) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  for (const { parameter, input } of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.in === "query") query.append(parameter.name, value);
    else if (value && parameter.in === "header") headers[parameter.name] = value;
  }
  const token = byId("token").value.trim();
  if (token && path.startsWith("/api/")) headers.Authorization = `Bearer ${token}`;
  const body = area && area.value.trim() ? area.value : undefined;
  if (body) headers["Content-Type"] = "application/json";
  const search = query.toString();
  return { address: search ? `${address}?${search}` : address, headers, body };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function command(method, { address, headers, body }) {
  const shown = Object.entries(headers).map(([name, value]) =>
    `-H ${name === "Authorization" ? '"Authorization: Bearer $HIVE_TOKEN"' : quoted(`${name}: ${value}`)}`);
  const words = [`curl -X ${method.toUpperCase()} ${quoted(location.origin + address)}`, ...shown];
  if (body) words.push(`-d ${quoted(body)}`);
  return words.join(" \\\n  ");
}

/** The body; what comes as a stream of events is shown as it comes. */
async function whole(answer, shown) {
  if (!(answer.headers.get("content-type") || "").startsWith("text/event-stream")) return answer.text();
  const live = node("pre", { tabindex: "0" });
  shown.replaceChildren(node("p", { role: "status" }, node("strong.good", {}, `${answer.status}`), " goes on…"), live);
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) live.append(part);
  return live.textContent;
}

async function send(method, asked, shown) {
  shown.replaceChildren(node("p.faint", {}, "Waiting…"));
  const began = performance.now();
  try {
    const answer = await fetch(asked.address, { method: method.toUpperCase(), headers: asked.headers, body: asked.body });
    const text = await whole(answer, shown);
    const took = Math.round(performance.now() - began);
    let pretty = text;
    if ((answer.headers.get("content-type") || "").includes("json")) {
      try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is shown as it came */ }
    }
    const head = node(answer.ok ? "strong.good" : "strong.bad", {}, `${answer.status} ${answer.statusText}`);
    shown.replaceChildren(node("p", { role: "status" }, head, ` in ${took} ms`), node("pre", { tabindex: "0" }, pretty || "(no body)"),
      node("pre", { tabindex: "0" }, command(method, asked)));
  } catch (error) {
    shown.replaceChildren(node("p.bad", { role: "status" }, `No answer: ${error.message}`));
  }
}

function trial(method, path, operation, inputs) {
  const example = exampleOf(operation);
  const area = example === undefined ? undefined
    : node("textarea", { rows: "8", spellcheck: "false", "aria-label": "Body" }, JSON.stringify(example, null, 2));
  const shown = node("div.answer");
  const ask = () => send(method, request(path, inputs, area), shown);
  return [node("h4", {}, "Try it"), area, node("button", { type: "button", onclick: ask }, "Send"), shown];
}

function operationNode(method, path, operation) {
  const summary = node("summary", {}, node(`span.method.${method}`, {}, method.toUpperCase()),
    node("span.path", {}, path), node("span", {}, operation.summary.replace(/\.$/, "")));
  const card = node("details.operation", { id: operation.operationId }, summary);
  // Built when it is opened first: most of them never are.
  card.addEventListener("toggle", () => {
    const inputs = [];
    const body = resolved(operation.requestBody || {}).content;
    const schema = body && body["application/json"].schema;
    card.append(node("div", {}, operation.description ? prose(operation.description, "p") : undefined,
      ...parameters(operation, inputs),
      ...(schema ? [node("h4", {}, "Body ", node("span.faint", {}, typeOf(schema))), fields(schema)] : []),
      ...answers(operation), ...trial(method, path, operation, inputs)));
  }, { once: true });
  return card;
}

function open(id) {
  const card = byId(id);
  if (!card) return;
  card.open = true;
  card.scrollIntoView();
}

function show() {
  byId("version").textContent = contract.info.version;
  const sections = new Map(contract.tags.map((tag) => [tag.name, { tag, cards: [], links: [] }]));
  for (const [path, item] of Object.entries(contract.paths)) {
    for (const method of METHODS.filter((known) => item[known])) {
      const operation = item[method];
      const section = sections.get(operation.tags[0]);
      section.cards.push(operationNode(method, path, operation));
      section.links.push(node("a", { href: `#${operation.operationId}` },
        node(`span.method.${method}`, {}, method.toUpperCase()), node("span", {}, operation.summary.replace(/\.$/, ""))));
    }
  }
  const used = [...sections.values()].filter(({ cards }) => cards.length);
  byId("main").replaceChildren(prose(contract.info.description, "p"), ...used.flatMap(({ tag, cards }) =>
    [node("h2", {}, tag.name), prose(tag.description, "p"), ...cards]));
  byId("index").replaceChildren(...used.flatMap(({ tag, links }) => [node("h2", {}, tag.name), ...links]));
  open(location.hash.slice(1));
}

byId("filter").addEventListener("input", (event) => {
  const sought = event.target.value.toLowerCase();
  for (const link of byId("index").querySelectorAll("a")) {
    const text = `${link.textContent} ${link.hash} ${byId(link.hash.slice(1)).textContent}`.toLowerCase();
    link.hidden = !text.includes(sought);
  }
});
byId("login").addEventListener("submit", (event) => event.preventDefault());
byId("token").addEventListener("change", async () => {
  const token = byId("token").value.trim();
  const answer = token && await fetch("/api/v2/system", { headers: { Authorization: `Bearer ${token}` } });
  byId("who").textContent = !token ? "" : answer.status === 401 ? "is not valid" : "opens";
  byId("who").className = answer && answer.status !== 401 ? "good" : "bad";
});
addEventListener("hashchange", () => open(location.hash.slice(1)));

fetch("/api/v2/openapi.json")
  .then((answer) => answer.json())
  .then((read) => { contract = read; show(); })
  .catch((error) => { byId("main").replaceChildren(node("p.bad", { role: "status" }, `The document cannot be shown: ${error.message}`)); });
