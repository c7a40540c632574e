// A stream's way through the filter: callbacks for the parts of both messages, and what becomes of them.

import { concat } from "./bytes.js";
import {
  clientResponse,
  forwarded,
  incomingReply,
  incomingResponse,
  localReply,
  proxyReply,
} from "./http.js";

/** Why a phase ends before its message does: a local reply, or the stream is reset or hangs. */
class End extends Error {
  constructor(kind, reply) {
    super(kind);
    Object.assign(this, { kind, reply });
  }
}

const WAITS = "waits";
const CONTINUES = "continues";

export class Course {
  /** `patience` is for how long, in nanoseconds of the VM's clock, a stream may wait for time to pass. */
  constructor(vm, stream, { grpc, toHead, patience }) {
    Object.assign(this, { vm, stream, grpc, toHead, patience });
    this.waited = 0n;
    this.forwarded = { message: undefined, whole: false };
    this.answered = { message: undefined };
    this.details = "via_upstream";
  }

  /** The whole of it. Returns how it ended: `undefined`, `reset` or `hang`. */
  run(incoming, upstream) {
    try {
      this.#decide(incoming, upstream);
      return undefined;
    } catch (end) {
      if (!(end instanceof End)) throw end;
      if (end.kind !== "reply") return end.kind;
      this.#answerDirectly(end.reply);
      return undefined;
    }
  }

  #decide(incoming, upstream) {
    try {
      this.#request(incoming);
    } catch (end) {
      if (!(end instanceof End) || end.kind !== "reply") throw end;
      this.details = end.reply.details;
      this.#response(incomingReply(localReply(end.reply, this.grpc, this.toHead)));
      return;
    }
    this.#response(incomingResponse(upstream, this.toHead));
  }

  #request({ head, pieces, trailers }) {
    const half = this.stream.request;
    const ends = pieces.length === 0 && trailers.size === 0;
    this.#open("request", "headers", head);
    const held = this.#headers("request", ends);
    if (!held) {
      this.#forwardHead();
      half.headersOpen = false;
    }
    if (!ends) {
      let holding = false;
      for (const { piece, last } of pieces) {
        this.stream.received += piece.length;
        holding = this.#body("request", piece, last, holding);
        if (!holding) this.#forwardBody();
      }
      if (trailers.size > 0) {
        this.#open("request", "trailers", trailers);
        this.#trailers("request");
        this.#forwardBody();
        this.forwarded.message.trailers = half.trailers.plain();
      }
      // An empty body that did not end with the head is one for the upstream too.
      this.forwarded.message.body ??= [];
    }
    this.forwarded.whole = true;
  }

  #response({ head, pieces, trailers }) {
    const half = this.stream.response;
    const ends = pieces.length === 0 && trailers.size === 0;
    this.#open("response", "headers", head);
    if (!this.#headers("response", ends)) {
      this.#answerHead();
      half.headersOpen = false;
    }
    let holding = false;
    for (const { piece, last } of pieces) {
      holding = this.#unlessAnswered(() => this.#body("response", piece, last, holding));
      if (!holding) this.#answerBody();
    }
    if (trailers.size > 0) {
      this.#open("response", "trailers", trailers);
      this.#unlessAnswered(() => this.#trailers("response"));
      this.#answerBody();
      this.answered.message.trailers = half.trailers.plain();
    }
  }

  #open(side, part, map) {
    this.stream[side][part] = map;
    this.stream[side][`${part}Open`] = true;
  }

  /** The callback for a head. Whether it is held back. */
  #headers(side, ends) {
    const count = this.stream[side].headers.size;
    const step = this.#call(side, "headers", count, Number(ends));
    if (step === WAITS && this.vm.headersStopIteration && !ends) return true;
    this.#wait(side, step);
    return false;
  }

  /** The callback for a body: `piece`, after what was held back. Whether it is held back now. */
  #body(side, piece, last, holding) {
    const half = this.stream[side];
    half.body = concat([half.body ?? new Uint8Array(0), piece]);
    const size = half.body.length;
    const isTooLarge = size > this.vm.bufferLimit;
    const step = this.#call(side, "body", size, Number(last));
    // The callback for the piece that overflowed comes too late to reply.
    if (isTooLarge && (holding || step === WAITS)) throw new End("reply", tooLarge(side));
    if (step === WAITS && !last) return true;
    this.#wait(side, step);
    return false;
  }

  #trailers(side) {
    this.#wait(side, this.#call(side, "trailers", this.stream[side].trailers.size));
  }

  #call(side, part, ...args) {
    const { id } = this.stream;
    const PAUSE = 1;
    const isPaused = this.vm.callback(`proxy_on_${side}_${part}`, id, id, ...args) === PAUSE;
    let step = this.#after(side, isPaused);
    while (step === WAITS && this.vm.answerCalls()) step = this.#after(side, true);
    return step;
  }

  /** Lets time pass until the stream goes on; a stream that does not hangs. */
  #wait(side, step) {
    const until = this.vm.now() + this.patience;
    const began = this.vm.advanced;
    while (step === WAITS) {
      if (this.vm.now() >= until || !this.vm.passTime()) throw new End("hang");
      do step = this.#after(side, true);
      while (step === WAITS && this.vm.answerCalls());
    }
    this.waited += this.vm.advanced - began;
  }

  #after(side, isPaused) {
    const { stream } = this;
    const isResumed = stream.resumed[side];
    stream.resumed[side] = false;
    if (stream.reset) throw new End("reset");
    const { reply } = stream;
    stream.reply = undefined;
    if (reply) throw new End("reply", reply);
    return isPaused && !isResumed ? WAITS : CONTINUES;
  }

  /** Sends the head upstream unless it has gone. */
  #forwardHead() {
    if (this.forwarded.message) return;
    const { request, reply } = forwarded(this.stream.request.headers, this.stream.version);
    if (reply) throw new End("reply", reply);
    this.forwarded.message = request;
  }

  #forwardBody() {
    this.#forwardHead();
    const piece = take(this.stream.request);
    if (piece.length > 0) (this.forwarded.message.body ??= []).push(piece);
  }

  #answerHead() {
    this.answered.message ??= clientResponse(this.stream.response.headers, this.vm.now());
  }

  #answerBody() {
    this.#answerHead();
    const { message } = this.answered;
    message.body = concat([message.body, take(this.stream.response)]);
  }

  /** A local reply from the response phase: no filter sees it. */
  #answerDirectly(reply) {
    this.details = reply.details;
    const { head, body } = localReply(reply, this.grpc, this.toHead);
    this.stream.response.headers = head;
    this.#answerHead();
    this.answered.message.body = body;
  }

  /** Once the client has the head of a response, no other reply can reach it. */
  #unlessAnswered(step) {
    try {
      return step();
    } catch (end) {
      const isTooLate = end instanceof End && end.kind === "reply" && this.answered.message;
      throw isTooLate ? new End("reset") : end;
    }
  }
}

function take(half) {
  const body = half.body ?? new Uint8Array(0);
  half.body = undefined;
  return body;
}

function tooLarge(side) {
  return side === "request"
    ? proxyReply(413, "request_payload_too_large", "Payload Too Large")
    : proxyReply(500, "response_payload_too_large", "Internal Server Error");
}
