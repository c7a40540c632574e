// A document in force in the module, and the requests that it judges.
//
// The module runs twice, in two VMs that are given the same requests at the same times: once with the
// document as it stands, which is what everything shown comes from but the words of policies; and once with
// `explain` put in, by which the filter tells them. So what `explain` adds to responses is never shown.

import { Host, binary, bytesOf, decode, encode } from "../../../src/hosts/browser/host.js";

const HEADER = "x-portcullis-playground";
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

/** What the proxy has that the filter may tell something; what it says then is nowhere shown. */
const NOTHING = new Uint8Array(0);
const FUNCTIONS = { declare_property: () => NOTHING, set_envoy_filter_state: () => NOTHING };

/** Keys, lists and discovery documents are asked for in the first ticks. */
const FIRST_TICKS = 6;

export class Session {
  #plain;
  #explained;
  #calls;
  #wall;
  #passed = 0n;

  /**
   * `settings`: `client`, an address with port; `at`, milliseconds since 1970 or nothing for now;
   * `environment`; `attributes`; `bufferLimit`; and `answer(call)`, what a call to a service is answered.
   */
  static async open(module, json, settings) {
    const session = new Session();
    session.#calls = new Map();
    const accepted = await session.#start(module, json, settings);
    return accepted ? session : { problems: session.problems };
  }

  async #start(module, json, settings) {
    this.#wall = () => BigInt(settings.at ?? Date.now()) * 1_000_000n + this.#passed;
    this.time = this.#wall();
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    const options = () => this.#options(json, settings, seed);
    this.#plain = await Host.load(module, options());
    if (!this.#plain.configure(bytesOf(encode(json)))) {
      this.problems = problemsOf(this.#plain.log);
      return false;
    }
    const explained = explaining(json);
    this.hasRecord = explained.hasRecord;
    this.#explained = await Host.load(module, options());
    if (!explained.json || !this.#explained.configure(bytesOf(encode(explained.json)))) this.#explained = undefined;
    for (const host of this.#hosts()) {
      host.tick();
      for (let tick = 0; tick < FIRST_TICKS; tick += 1) host.passTime();
    }
    const warnings = this.#plain.log.filter(({ level }) => level >= 3).map(({ message }) => message);
    // Security events are warnings too, in JSON.
    this.notes = warnings.filter((message) => !parsed(message));
    return true;
  }

  #options(json, settings, seed) {
    const { client, environment, attributes, bufferLimit } = settings;
    return {
      now: () => this.time,
      environment,
      bufferLimit,
      functions: FUNCTIONS,
      random: seeded(seed),
      headersStopIteration: /"body_inspection"\s*:\s*"hold_headers"/.test(json),
      attributes: [["source\0address", encode(client)], ...attributes],
      call: (call) => this.#answer(call, settings.answer),
    };
  }

  #answer(call, answer) {
    const field = (name) => decode(call.headers.find(([each]) => each === name)?.[1] ?? "");
    const described = {
      cluster: call.cluster,
      method: field(":method"),
      url: `${field(":authority")}${field(":path")}`,
      body: new TextDecoder().decode(call.body),
    };
    const key = `${described.cluster} ${described.method} ${described.url}`;
    const given = answer(key);
    this.#calls.set(key, { ...described, key, answered: Boolean(given) });
    const { status, body, type } = given ?? {
      status: 503,
      body: "upstream connect error or disconnect/reset before headers",
      type: "text/plain",
    };
    return { status, headers: [["content-type", encode(type)]], body: bytesOf(encode(body)), trailers: [] };
  }

  /** The calls to other services that there were, each once. */
  get calls() {
    return [...this.#calls.values()];
  }

  get counters() {
    return this.#plain.metrics;
  }

  #hosts() {
    return [this.#plain, this.#explained].filter(Boolean);
  }

  /** Lets time pass for all that a document counts by time. */
  pass(seconds) {
    this.#passed += BigInt(Math.round(seconds * 1000)) * 1_000_000n;
    this.#catchUp();
    this.#hosts().forEach((host) => host.passTime());
  }

  /** The clock stands still but for this. */
  #catchUp() {
    const wall = this.#wall();
    if (wall > this.time) this.time = wall;
  }

  /** One exchange; texts of the request and of the upstream's response are as a person writes them. */
  send(request, upstream) {
    this.#catchUp();
    const before = this.#plain.metrics;
    const message = requestOf(request);
    const answer = {
      status: upstream.status,
      headers: upstream.headers.map(fieldOf),
      body: bytesOf(encode(upstream.body)),
      trailers: [],
    };
    const requestId = crypto.randomUUID();
    const found = this.#plain.exchange(message, answer, requestId);
    const told = this.#ask(message, answer, requestId);
    this.#hosts().forEach((host) => host.passTime());
    const records = found.log.map(({ message: line }) => parsed(line)).filter(Boolean);
    return {
      ...found,
      sent: { ...message, requestId },
      response: found.response && readable(found.response),
      upstream: found.upstream && readable({ ...found.upstream, body: joined(found.upstream.body) }),
      explained: told?.explained,
      record: this.hasRecord ? records.find(isAccess) : undefined,
      recordIfAsked: this.hasRecord ? undefined : told?.record,
      events: records.filter((each) => !isAccess(each)),
      lines: found.log.filter(({ level, message: line }) => level >= 3 && !parsed(line)),
      counters: changed(before, this.#plain.metrics),
    };
  }

  #ask(message, answer, requestId) {
    if (!this.#explained || this.#explained.hasFailed) return undefined;
    const asking = { ...message, headers: [...message.headers, [HEADER, "1"]] };
    const { response, log } = this.#explained.exchange(asking, answer, requestId);
    const lines = (response?.headers ?? []).filter(([name]) => name === "x-portcullis-explain");
    const records = log.map(({ message: line }) => parsed(line)).filter(Boolean);
    return { explained: lines.map(([, value]) => explanation(decode(value))), record: records.find(isAccess) };
  }
}

/** The document with `explain` for everybody, and a record. */
function explaining(json) {
  const document = parsed(json);
  if (typeof document !== "object" || document === null) return {};
  const hasRecord = document.access_log !== undefined && document.access_log !== "off";
  const explain = { header: HEADER, addresses: EVERYWHERE };
  const access_log = hasRecord ? document.access_log : {};
  return { hasRecord, json: JSON.stringify({ ...document, explain, access_log }) };
}

/** One line of `explain`: members by name; `detail` and `errors` are JSON, which may have what parts members. */
export function explanation(line) {
  const members = {};
  let rest = line;
  while (rest !== "") {
    const [, name, after] = /^\s*([a-z_]+)=([\s\S]*)$/.exec(rest) ?? [];
    if (!name) break;
    const end = /^[[{]/.test(after) ? endOfJson(after) : after.indexOf(";");
    const value = end < 0 ? after : after.slice(0, end);
    members[name] = /^[[{]/.test(value) ? (parsed(value) ?? value) : value;
    rest = end < 0 ? "" : after.slice(end).replace(/^;/, "");
  }
  return members;
}

function endOfJson(text) {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < text.length; at += 1) {
    const each = text[at];
    if (inText) {
      if (each === "\\") at += 1;
      else if (each === '"') inText = false;
    } else if (each === '"') inText = true;
    else if (each === "{" || each === "[") depth += 1;
    else if ((each === "}" || each === "]") && (depth -= 1) === 0) return at + 1;
  }
  return -1;
}

function problemsOf(log) {
  const errors = log.filter(({ level }) => level === 4).map(({ message }) => message);
  const worded = errors.filter((message) => !message.startsWith("configuration refused, problems: "));
  return worded.length > 0 ? worded : ["document: the filter does not take it"];
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isAccess = (record) => (record["event.name"] ?? record["event.dataset"]) === "portcullis.access";
const fieldOf = ([name, value]) => [encode(name), encode(value)];
const joined = (pieces) => bytesOf((pieces ?? []).map(binary).join(""));

function requestOf({ http, method, url, headers, body }) {
  const { scheme, authority, path } = split(url);
  return {
    version: http,
    method: encode(method),
    scheme,
    authority: encode(authority),
    path: encode(path),
    headers: headers.map(fieldOf),
    body: body === undefined || body === "" ? null : [bytesOf(encode(body))],
    trailers: [],
  };
}

/** The parts of a URL as they stand: nothing is normalised, since that is what the filter looks at. */
export function split(url) {
  const found = /^(?:(https?):\/\/([^/?#]*))?([^#]*)/i.exec(url.trim());
  const [, scheme, authority, rest] = found;
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  return { scheme: (scheme ?? "https").toLowerCase(), authority: authority || "api.example.com", path };
}

function readable({ headers, body, trailers, ...rest }) {
  const texts = (fields) => fields.map(([name, value]) => [decode(name), decode(value)]);
  return { ...rest, headers: texts(headers), trailers: texts(trailers), bytes: body.length, body: new TextDecoder().decode(body) };
}

function changed(before, after) {
  const differences = [...after].map(([name, value]) => [name, value - (before.get(name) ?? 0), value]);
  // Gauges of memory change with everything.
  return differences.filter(([name, difference]) => difference !== 0 && !/\.memory\.|config_hash/.test(name));
}

/** Both VMs draw the same numbers, of generators with one seed. */
function seeded(seed) {
  let state = seed;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 1) {
      // Mulberry32.
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      bytes[at] = (mixed ^ (mixed >>> 14)) >>> 0;
    }
    return bytes;
  };
}
