// The page: a document in the editor, a request in the form, and what the filter makes of both.

import { convert, place, problemAt, toJson } from "./document.js";
import { byId, el, fill, quietly } from "./dom.js";
import { Editor } from "./editor.js";
import { readRequest, readUpstream, readWorld, settings, takeRequest, writeRequest, writeUpstream, writeWorld } from "./form.js";
import { fold, unfold } from "./link.js";
import { show } from "./result.js";
import { Schema } from "./schema.js";
import { Session } from "./session.js";
import { Keys, TokenPanel, publicKey, withOwnKeys, withTokens } from "./tokens.js";

/** How many requests are sent at once, and how many are remembered. */
const MOST_SHOWN = 200;

const fetchJson = async (name) => (await fetch(name)).json();

class Page {
  constructor(module, library, schema) {
    this.module = module;
    this.library = library;
    this.keys = new Keys();
    this.answers = {};
    this.results = [];
    this.opened = undefined;
    const changed = () => this.documentChanged();
    const run = () => {
      this.send();
      return true;
    };
    this.editor = new Editor(byId("editor"), { schema: new Schema(schema), changed, run });
    this.panel = new TokenPanel(this.keys, {
      editor: this.editor,
      calls: () => this.session?.calls ?? [],
      answer: (key, answer) => this.#setAnswer(key, answer),
      now: () => Math.floor((this.#settings()?.at ?? Date.now()) / 1000),
      requestChanged: () => writeRequest(readRequest()),
    });
    this.reopening = quietly(250, () => this.open());
    this.#listen();
  }

  #listen() {
    fill(byId("example"), el("option", { value: "" }, "–"), this.library.examples.map(({ title }, at) => el("option", { value: String(at) }, title)));
    byId("example").addEventListener("change", ({ target }) => target.value !== "" && this.load(Number(target.value)));
    byId("sample").addEventListener("change", ({ target }) => this.loadRequest(Number(target.value)));
    byId("request").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) this.send();
    });
    for (const input of document.querySelectorAll('input[name="format"]')) {
      input.addEventListener("change", () => this.#convert(input.value));
    }
    for (const input of document.querySelectorAll('input[name="form"]')) {
      input.addEventListener("change", () => this.#showForm(input.value));
    }
    for (const name of ["client", "at", "environment", "attributes"]) {
      byId(name).addEventListener("input", () => this.documentChanged());
    }
    byId("afresh").addEventListener("click", () => this.open());
    byId("pass").addEventListener("click", () => this.#pass());
    byId("share").addEventListener("click", () => this.#share());
  }

  async load(at) {
    const example = this.library.examples[at];
    this.example = example;
    byId("about").textContent = example.about;
    this.answers = await this.#answersOf(example);
    writeWorld();
    const text = await withOwnKeys(example.document, this.library.keys, this.keys);
    const format = this.#format();
    this.editor.set(format === "yaml" ? (convert(text, "yaml") ?? text) : text, format);
    byId("sample-row").hidden = example.requests.length === 0;
    fill(byId("sample"), example.requests.map(({ name }, index) => el("option", { value: String(index) }, name)));
    await this.panel.begin(Object.values(example.tokens).find(({ key, claims }) => claims && this.library.keys[key]));
    await this.loadRequest(0);
    await this.open();
  }

  async loadRequest(at) {
    const request = this.example.requests[at];
    const now = Math.floor(Date.now() / 1000);
    const fillIn = (text) => withTokens(text, this.example.tokens, this.keys, now);
    const headers = [];
    for (const [name, value] of request.headers) headers.push([name, await fillIn(value)]);
    writeRequest({ ...request, headers, url: await fillIn(request.url), body: await fillIn(request.body) });
    writeUpstream(request.upstream);
    byId("upstream-details").open = request.upstream !== undefined;
  }

  async #answersOf({ answers = {} }) {
    const filled = {};
    for (const [key, { status, body, jwks, kid }] of Object.entries(answers)) {
      const keys = jwks && { keys: [publicKey(await this.keys.get(jwks), kid)] };
      filled[key] = { status, body: keys ? JSON.stringify(keys) : body };
    }
    return filled;
  }

  documentChanged() {
    this.results = [];
    // What is shown is of another document now.
    this.opened = undefined;
    this.reopening.soon();
  }

  /** Puts the document in force, with limits and caches as they begin. */
  open() {
    this.reopening.callOff();
    this.opened = this.#open();
    return this.opened;
  }

  async #open() {
    this.results = [];
    this.opening = undefined;
    const { text, format } = this.editor;
    const { json, problems } = toJson(text, format);
    const world = this.#settings();
    if (problems.length > 0 || !world) {
      this.session = undefined;
      this.#showProblems(problems);
      if (!world) this.#say("banner bad", "The fields under “Client, time, environment” cannot be read.");
      return;
    }
    const answer = (key) => {
      const given = this.answers[key];
      return given && { ...given, type: given.body.trimStart().startsWith("{") ? "application/json" : "text/plain" };
    };
    const opening = (this.opening = Symbol("opening"));
    const opened = await this.#opened(json, { ...world, answer });
    // Another has begun since.
    if (this.opening !== opening) return;
    this.session = opened.problems ? undefined : opened;
    this.#showProblems((opened.problems ?? []).map((message) => problemAt(message, text, format)));
    this.panel.offer(parsed(json));
    this.#showCalls();
    if (this.session) this.#say("quiet", "The document is in force. Send a request.");
  }

  async #opened(json, world) {
    try {
      return await Session.open(this.module, json, world);
    } catch (error) {
      return { problems: [`document: the module does not get to its end with it: ${error.message}`] };
    }
  }

  #settings() {
    byId("world-problem").textContent = "";
    try {
      return settings(readWorld());
    } catch (error) {
      byId("world-problem").textContent = error.message;
      byId("world-details").open = true;
      return undefined;
    }
  }

  #showProblems(problems) {
    this.editor.mark(problems);
    const list = problems.map(({ message, pointer, from, to }) => {
      const place = pointer && el("code", {}, pointer);
      const button = el("button", { type: "button", onclick: () => this.editor.show(from, to) }, place, place ? ": " : "", message);
      return el("li", {}, button);
    });
    const notes = this.session?.notes ?? [];
    const valid = this.session && el("p", { className: "valid" }, "Valid.");
    const told = notes.map((note) => el("li", { className: "note" }, note));
    fill(byId("problems"), list.length > 0 ? el("ul", {}, list) : valid, told.length > 0 && el("ul", {}, told));
    if (list.length > 0) {
      fill(byId("outcome"));
      const count = list.length === 1 ? "a problem" : `${list.length} problems`;
      this.#say("banner bad", `The document has ${count}; Envoy keeps the one before, or does not start.`);
    }
  }

  #say(className, text) {
    fill(byId("verdict"), el("p", { className }, text));
    fill(byId("outcome"));
  }

  #showCalls() {
    const calls = this.session?.calls ?? [];
    byId("calls-details").hidden = calls.length === 0;
    const lacking = calls.filter(({ answered }) => !answered).length;
    if (lacking > 0) byId("calls-details").open = true;
    fill(byId("calls"), calls.map((call, at) => this.#callForm(call, at)));
  }

  #callForm({ key, cluster, method, url, answered }, at) {
    const given = this.answers[key] ?? { status: 200, body: "" };
    const ids = [`call-status-${at}`, `call-body-${at}`];
    const status = el("input", { id: ids[0], type: "number", min: 200, max: 599, value: String(given.status) });
    const body = el("textarea", { id: ids[1], rows: 4, spellcheck: false, value: given.body });
    const set = el("button", { type: "button", onclick: () => this.#setAnswer(key, { status: Number(status.value), body: body.value }) }, "Answer so");
    return el(
      "div",
      { className: "call" },
      el("p", {}, el("code", {}, `${method} ${url}`), ` of cluster ${cluster}`),
      !answered && el("p", { className: "problem" }, "Nothing answers: the filter gets 503. Paste what the service would answer."),
      el("label", { for: ids[0] }, "Status"),
      status,
      el("label", { for: ids[1] }, "Body"),
      body,
      el("div", { className: "buttons" }, set),
    );
  }

  #setAnswer(key, answer) {
    this.answers[key] = answer;
    this.open();
  }

  async send() {
    let request;
    try {
      request = takeRequest();
    } catch (error) {
      byId("curl-problem").textContent = error.message;
      return;
    }
    await (this.opened ?? this.open());
    if (!this.session) return;
    const times = Math.min(Math.max(Number(byId("times").value) || 1, 1), MOST_SHOWN);
    for (let sent = 0; sent < times; sent += 1) this.results.push(this.session.send(request, readUpstream()));
    this.results = this.results.slice(-MOST_SHOWN);
    show(this.results, { goTo: (pointer) => this.#goTo(pointer), counters: this.session.counters });
    this.#showCalls();
  }

  #goTo(pointer) {
    const { from, to } = place(this.editor.text, this.editor.format, pointer);
    this.editor.show(from, to);
  }

  async #pass() {
    await (this.opened ?? this.open());
    const seconds = Math.max(Number(byId("seconds").value) || 1, 1);
    this.session?.pass(seconds);
    if (this.session) fill(byId("verdict"), el("p", { className: "quiet", role: "status" }, `${seconds} s have passed.`));
  }

  #format() {
    return document.querySelector('input[name="format"]:checked').value;
  }

  #convert(format) {
    const text = convert(this.editor.text, format);
    if (text === undefined) {
      document.querySelector(`input[name="format"][value="${this.editor.format}"]`).checked = true;
      fill(byId("problems"), el("p", { className: "problem" }, "It cannot be turned into the other format before it can be read."));
      return;
    }
    this.editor.set(text, format);
    this.open();
  }

  #showForm(form) {
    if (form === "curl") writeRequest(readRequest());
    else {
      try {
        takeRequest();
      } catch (error) {
        byId("curl-problem").textContent = error.message;
        document.querySelector('input[name="form"][value="curl"]').checked = true;
        return;
      }
    }
    byId("fields").hidden = form === "curl";
    byId("curl-form").hidden = form !== "curl";
  }

  async #share() {
    const world = readWorld();
    // Tokens stay good, since the link says when they were.
    const at = world.at.trim() || new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const { text: document, format } = this.editor;
    const state = { document, format, request: takeRequest(), upstream: readUpstream(), world: { ...world, at }, answers: this.answers };
    // Without an event: the page has what it carries.
    history.replaceState(undefined, "", `#v1=${await fold(state)}`);
    const said = await copy(location.href);
    byId("shared").textContent = said;
  }

  /** Shows what a link carries. */
  async take({ document: text, format, request, upstream, world, answers }) {
    this.example = undefined;
    byId("example").value = "";
    byId("sample-row").hidden = true;
    byId("about").textContent = `From a link; the time is set to ${world.at}.`;
    document.querySelector(`input[name="format"][value="${format === "yaml" ? "yaml" : "json"}"]`).checked = true;
    this.answers = answers ?? {};
    writeWorld(world);
    writeRequest(request);
    writeUpstream(upstream);
    await this.panel.begin();
    this.editor.set(text, this.#format());
    await this.open();
    await this.send();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied: document and request are in the link.";
  } catch {
    return "The address bar has the link: document and request are in it.";
  }
}

/** By its bytes, whatever a server says of their type. */
async function compiled(name) {
  return WebAssembly.compile(await (await fetch(name)).arrayBuffer());
}

async function begin() {
  const [module, library, schema] = await Promise.all([
    compiled("portcullis.wasm"),
    fetchJson("examples.json"),
    fetchJson("schema.json"),
  ]);
  const page = new Page(module, library, schema);
  const follow = async () => {
    try {
      const state = await unfold(location.hash);
      if (state) await page.take(state);
      return state ? "taken" : "none";
    } catch {
      return "unreadable";
    }
  };
  const UNREADABLE = "The link cannot be read; it was cut off, perhaps.";
  const followed = await follow();
  if (followed !== "taken") {
    byId("example").value = "0";
    await page.load(0);
    await page.send();
    if (followed === "unreadable") byId("about").textContent = UNREADABLE;
  }
  addEventListener("hashchange", async () => {
    if ((await follow()) === "unreadable") byId("about").textContent = UNREADABLE;
  });
  document.documentElement.dataset.ready = "yes";
}

begin().catch((error) => {
  byId("verdict").textContent = `The page cannot begin: ${error.message}`;
});
