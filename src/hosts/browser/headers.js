// Header maps as Envoy keeps them, and the form in which they cross to the module.

import { binary, bytesOf, lower } from "./bytes.js";

const words = (text) => new Set(text.trim().split(/\s+/));

const EITHER = words(`
  cache-control connection content-length content-type keep-alive proxy-connection transfer-encoding
  upgrade via x-request-id`);

// Names that Envoy keeps as one value: what is added is joined to it.
const ONE_VALUE = {
  request: words(`
    :authority :method :path :scheme accept accept-encoding access-control-request-headers
    access-control-request-method access-control-request-private-network authorization expect origin
    referer te user-agent x-forwarded-for x-forwarded-host x-forwarded-proto`),
  response: words(`
    :status access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-expose-headers access-control-max-age content-encoding date
    etag grpc-message grpc-status location server vary x-envoy-upstream-service-time`),
  trailers: words("grpc-status grpc-message"),
};

/** Fields in order, names in lower case, pseudo-headers first. */
export class HeaderMap {
  constructor(kind, fields = []) {
    this.kind = kind;
    this.fields = [];
    for (const [name, value] of fields) this.add(name, value);
  }

  get size() {
    return this.fields.length;
  }

  /** The bytes of all names and values. */
  get byteSize() {
    return this.fields.reduce((size, [name, value]) => size + name.length + value.length, 0);
  }

  /** The first value of that name, as the host call for one field reads it. */
  first(name) {
    const wanted = lower(name);
    return this.fields.find(([each]) => each === wanted)?.[1];
  }

  /** All values of that name joined with `,`, as an attribute reads them. */
  joined(name) {
    const wanted = lower(name);
    const values = this.fields.filter(([each]) => each === wanted).map(([, value]) => value);
    return values.length > 0 ? values.join(",") : undefined;
  }

  add(name, value) {
    const wanted = lower(name);
    const present = this.#isOneValue(wanted) && this.fields.find(([each]) => each === wanted);
    if (present) {
      present[1] = present[1] === "" ? value : `${present[1]},${value}`;
      return;
    }
    let at = this.fields.length;
    if (wanted.startsWith(":")) {
      at = this.fields.findIndex(([each]) => !each.startsWith(":"));
      if (at < 0) at = this.fields.length;
    }
    this.fields.splice(at, 0, [wanted, value]);
  }

  replace(name, value) {
    this.remove(name);
    this.add(name, value);
  }

  remove(name) {
    const wanted = lower(name);
    this.fields = this.fields.filter(([each]) => each !== wanted);
  }

  clear() {
    this.fields = [];
  }

  copy() {
    const copy = new HeaderMap(this.kind);
    copy.fields = this.fields.map(([name, value]) => [name, value]);
    return copy;
  }

  /** Without pseudo-headers. */
  plain() {
    return this.fields.filter(([name]) => !name.startsWith(":")).map(([name, value]) => [name, value]);
  }

  #isOneValue(name) {
    return ONE_VALUE[this.kind].has(name) || (this.kind !== "trailers" && EITHER.has(name));
  }
}

/**
 * Pairs as the module reads them: a count, the lengths, then names and values, each ended by a zero
 * byte. No pairs at all are no bytes at all.
 */
export function serialize(fields) {
  if (fields.length === 0) return new Uint8Array(0);
  const texts = fields.flat();
  const size = 4 + texts.length * 4 + texts.reduce((sum, text) => sum + text.length + 1, 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fields.length, true);
  let at = 4 + texts.length * 4;
  texts.forEach((text, index) => {
    view.setUint32(4 + index * 4, text.length, true);
    bytes.set(bytesOf(text), at);
    at += text.length + 1;
  });
  return bytes;
}

/** Pairs that the module sends. Like Envoy, takes malformed or oversized ones for none. */
export function deserialize(bytes) {
  const MOST_BYTES = 1 << 20;
  const MOST_PAIRS = 1024;
  if (bytes.length < 4 || bytes.length > MOST_BYTES) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(0, true);
  let at = 4 + count * 8;
  if (count > MOST_PAIRS || at > bytes.length) return [];
  const texts = [];
  for (let index = 0; index < count * 2; index += 1) {
    const end = at + view.getUint32(4 + index * 4, true);
    if (end > bytes.length) return [];
    texts.push(binary(bytes.subarray(at, end)));
    at = end + 1;
  }
  return Array.from({ length: count }, (_, index) => [texts[index * 2], texts[index * 2 + 1]]);
}
