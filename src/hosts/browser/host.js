// A host for the module in JavaScript: in a browser, or in Node.js 20 and later. It does what Envoy does
// around the filter, as far as one worker and one exchange at a time can show it: proxy-wasm 0.2.1, WASI,
// header maps, bodies, local replies, shared cells, metrics, attributes, calls to other services.
//
// What it leaves out: routes and clusters, other filters, TLS, other workers. Time passes only while a
// stream waits, and then at once.

import { Course } from "./course.js";
import { incomingRequest, isGrpc, localReply, clientResponse, proxyReply, requestHead } from "./http.js";
import { Stream, Vm, VmFailure } from "./vm.js";

export { binary, bytesOf, decode, encode } from "./bytes.js";

/** Longer than any wait of the filter. */
const PATIENCE = 120_000_000_000n;

/**
 * One worker with one plugin.
 *
 * @typedef {object} HostOptions
 * @property {Object<string, string>} [environment] variables of the VM
 * @property {() => bigint} [now] nanoseconds since 1970
 * @property {(call: object) => object | null} [call] what a call to a cluster is answered; `null` if
 *   there is no such cluster
 * @property {Iterable<[string, string]>} [attributes] by paths whose parts are joined with zero bytes, in
 *   Envoy's encoding
 * @property {Object<string, (argument: Uint8Array) => Uint8Array>} [functions] foreign functions; a host
 *   without them is one that lacks `verify_signature`, and the module verifies by itself
 * @property {boolean} [headersStopIteration] the plugin's `allow_on_headers_stop_iteration`
 * @property {number} [bufferLimit] the most that is held back of a body
 * @property {(length: number) => Uint8Array} [random]
 */
export class Host {
  #vm;
  #patience;

  constructor(vm, patience) {
    this.#vm = vm;
    this.#patience = patience;
  }

  /**
   * An instance of a compiled module, which waits for its document.
   *
   * @param {WebAssembly.Module} module
   * @param {HostOptions & { patience?: bigint }} [options]
   */
  static async load(module, options = {}) {
    const vm = new Vm(options);
    await vm.instantiate(module);
    return new Host(vm, options.patience ?? PATIENCE);
  }

  /** Hands the document over. Whether it was accepted; the log says what is wrong with it. */
  configure(document) {
    const vm = this.#vm;
    const root = vm.newContext();
    vm.roots.set(root, 0);
    [vm.root, vm.configuration] = [root, document];
    vm.callback("proxy_on_context_create", root, root, 0);
    if (!vm.callback("proxy_on_vm_start", root, root, 0)) return false;
    vm.stage = "configuring";
    try {
      return vm.callback("proxy_on_configure", root, root, document.length) !== 0;
    } finally {
      vm.stage = "running";
    }
  }

  /** Answers the calls that wait, and lets the timer fire once. */
  tick() {
    this.#vm.tick();
    while (this.#vm.answerCalls());
  }

  /** The same, after the time of a tick has passed. */
  passTime() {
    this.#vm.passTime();
    while (this.#vm.answerCalls());
  }

  /** What was written since the module was loaded, oldest first. */
  get log() {
    return this.#vm.log;
  }

  /** Counters and gauges by name, as numbers. */
  get metrics() {
    const shown = [...this.#vm.metrics.values()].filter(({ kind }) => kind !== "histogram");
    return new Map(shown.map(({ name, value }) => [name, Number(BigInt.asIntN(64, value))]));
  }

  get hasFailed() {
    return this.#vm.failed;
  }

  /** The clock, in nanoseconds since 1970. */
  get now() {
    return this.#vm.now();
  }

  /**
   * One exchange: the request through the filter, `upstream` as the response of the upstream if it gets
   * there, the response through the filter, the access log. Names and values are binary strings, bodies
   * bytes; the request's body is a list of pieces or `null`.
   */
  exchange(request, upstream, requestId = uuid(this.#vm.random(16))) {
    const vm = this.#vm;
    const logged = vm.log.length;
    const stream = new Stream(vm.newContext(), request.version, vm.now());
    const head = requestHead(request, requestId);
    const toHead = request.method === "HEAD";
    const course = new Course(vm, stream, { grpc: isGrpc(head), toHead, patience: this.#patience });
    vm.currentStream = stream;
    let ended;
    let failure;
    try {
      vm.callback("proxy_on_context_create", stream.id, stream.id, vm.root);
      ended = course.run(incomingRequest(head, request), upstream);
      this.#finish(stream, course);
    } catch (error) {
      if (!(error instanceof VmFailure)) throw error;
      failure = error.message;
    } finally {
      vm.currentStream = undefined;
      vm.effectiveContext = vm.root;
    }
    const { message, whole } = course.forwarded;
    return {
      response: failure && !course.answered.message ? failed(vm.now()) : course.answered.message,
      details: failure ? "wasm_fail_stream" : course.details,
      // What the module's failure was, or `reset`, or `hang`: it waits for what does not come.
      failure,
      ended,
      upstream: message,
      upstreamIsWhole: whole,
      waitedNanos: course.waited,
      filterState: stream.filterState,
      log: vm.log.slice(logged),
    };
  }

  #finish(stream, course) {
    const vm = this.#vm;
    const response = course.answered.message;
    const fields = [...(response?.trailers ?? []), ...(response?.headers ?? [])];
    const grpc = fields.find(([name]) => name === "grpc-status")?.[1];
    stream.close();
    stream.logging = true;
    stream.code = response?.status ?? 0;
    stream.details = course.details;
    stream.grpcStatus = /^\d+$/.test(grpc ?? "") ? Number(grpc) : undefined;
    vm.callback("proxy_on_log", stream.id, stream.id);
    stream.logging = false;
    vm.callback("proxy_on_done", stream.id, stream.id);
    vm.callback("proxy_on_delete", stream.id, stream.id);
  }
}

/** What a client gets of a VM that has failed: no filter sees it. */
function failed(now) {
  const { head } = localReply(proxyReply(503, "wasm_fail_stream", ""), false, false);
  return clientResponse(head, now);
}

function uuid(random) {
  const bytes = random.slice();
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

