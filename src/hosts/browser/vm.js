// What the proxy remembers for a VM, and what the module's host calls ask of it.

import { Memory, imports } from "./guest.js";
import { HeaderMap } from "./headers.js";
import { upstreamHead } from "./http.js";
import { isTrap } from "./status.js";

/** The context of the first plugin in a VM. */
const ROOT = 1;

/** One worker of the proxy: an instance of the module, with cells, metrics and a clock of its own. */
export class Vm extends Memory {
  constructor(options) {
    super();
    this.pluginName = options.pluginName ?? "";
    this.vmId = options.vmId ?? "";
    this.environment = Object.entries(options.environment ?? {});
    this.functions = options.functions ?? {};
    this.attributes = new Map(options.attributes ?? []);
    this.headersStopIteration = options.headersStopIteration ?? false;
    this.bufferLimit = options.bufferLimit ?? 1 << 20;
    this.call = options.call ?? (() => null);
    this.random = options.random ?? ((length) => crypto.getRandomValues(new Uint8Array(length)));
    this.clock = options.now ?? (() => BigInt(Date.now()) * 1_000_000n);
    this.advanced = 0n;
    this.stage = "initializing";
    this.allocating = false;
    this.failed = false;
    this.log = [];
    this.cells = new Map();
    this.lastCas = 0;
    this.queues = [];
    this.metrics = new Map();
    this.metricIds = new Map();
    this.configuration = new Uint8Array(0);
    this.roots = new Map();
    this.root = ROOT;
    this.effectiveContext = ROOT;
    this.nextContext = ROOT;
    this.lastCall = 0;
    this.underWay = [];
    this.currentStream = undefined;
    this.answered = undefined;
  }

  async instantiate(module) {
    const instance = await WebAssembly.instantiate(module, imports(module, this));
    this.exports = instance.exports;
    if (!this.exports.proxy_abi_version_0_2_1) throw new Error("the module is none of proxy-wasm 0.2.1");
    this.exports._initialize?.();
    this.stage = "running";
  }

  /** Both clocks, in nanoseconds. */
  now() {
    return this.clock() + this.advanced;
  }

  /** The stream, if host calls are about it now. */
  get stream() {
    return this.currentStream?.id === this.effectiveContext ? this.currentStream : undefined;
  }

  hasContext(id) {
    return this.roots.has(id) || this.currentStream?.id === id;
  }

  newContext() {
    const id = this.nextContext;
    this.nextContext += 1;
    return id;
  }

  nextCas() {
    // 0 means that nothing is compared.
    this.lastCas = (this.lastCas + 1) >>> 0 || 1;
    return this.lastCas;
  }

  defineMetric(kind, name) {
    const key = `${kind} ${name}`;
    if (!this.metrics.has(key)) this.metrics.set(key, { kind, name, value: 0n, recorded: [] });
    const id = this.metricIds.size + 1;
    this.metricIds.set(id, this.metrics.get(key));
    return id;
  }

  /** A call is under way; what it will be answered is known. Its number. */
  begin(response) {
    const of = this.roots.has(this.effectiveContext) ? this.effectiveContext : this.root;
    this.lastCall += 1;
    this.underWay.push({ number: this.lastCall, root: of, response });
    return this.lastCall;
  }

  /** Tells the module what its calls were answered. Whether there were any. */
  answerCalls() {
    const calls = this.underWay.splice(0);
    for (const { number, root, response } of calls) {
      const head = upstreamHead(response, false);
      this.answered = { head, body: response.body };
      this.callback("proxy_on_http_call_response", root, root, number, head.size, response.body.length, 0);
      this.answered = undefined;
    }
    this.effectiveContext = this.root;
    return calls.length > 0;
  }

  /** Lets the timer of each plugin fire that has set one. Whether any has. */
  tick() {
    const ticking = [...this.roots].filter(([, period]) => period > 0);
    for (const [root] of ticking) this.callback("proxy_on_tick", root, root);
    this.effectiveContext = this.root;
    return ticking.length > 0;
  }

  /** Moves the clock to the next tick, and lets it come. Whether there is one. */
  passTime() {
    const periods = [...this.roots.values()].filter((period) => period > 0);
    if (periods.length === 0) return false;
    this.advanced += BigInt(Math.min(...periods)) * 1_000_000n;
    return this.tick();
  }

  /**
   * Calls back in this context. What the module does not export is not called. Throws a `VmFailure` if
   * the VM fails in it, and from then on.
   */
  callback(name, context, ...args) {
    if (this.failed) throw new VmFailure("the VM has failed before");
    this.effectiveContext = context;
    let result = 0;
    try {
      result = this.exports[name]?.(...args) ?? 0;
    } catch (error) {
      if (!isTrap(error)) throw error;
      this.failed = true;
      const CRITICAL = 5;
      const panic = this.log.findLast(({ level }) => level === CRITICAL)?.message;
      throw new VmFailure(`${name}: ${panic ?? error.message}`);
    }
    if (this.failed) throw new VmFailure(`${name}: the allocation for a host call trapped`);
    return result;
  }
}

/** The module has trapped, and its VM takes no more callbacks. */
export class VmFailure extends Error {}

/** A stream: one request and its response. */
export class Stream {
  constructor(id, version, started) {
    Object.assign(this, { id, version, started });
    this.received = 0;
    this.request = half("request");
    this.response = half("response");
    this.logging = false;
    this.reply = undefined;
    this.resumed = { request: false, response: false };
    this.reset = false;
    this.filterState = new Map();
    this.code = undefined;
    this.details = "";
    this.grpcStatus = undefined;
  }

  /** Takes away what a callback could reach, but for the log. */
  close() {
    for (const side of [this.request, this.response]) {
      side.headersOpen = false;
      side.trailersOpen = false;
      side.body = undefined;
    }
  }
}

function half(kind) {
  return {
    headers: new HeaderMap(kind),
    headersOpen: false,
    // What the module can read and replace: the piece, or all that is held back.
    body: undefined,
    trailers: new HeaderMap("trailers"),
    trailersOpen: false,
  };
}
