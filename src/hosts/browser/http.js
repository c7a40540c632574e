// What the proxy does to messages around the filter.

import { bytesOf, encode, lower } from "./bytes.js";
import { HeaderMap } from "./headers.js";

const carries = (fields, name) => fields.some(([each]) => lower(each) === name);
const isFilled = (piece) => piece.length > 0;

/** The head that the filter sees, as the connection manager leaves it. */
export function requestHead(request, requestId) {
  const { headers, scheme = "http" } = request;
  const isHttp2 = request.version === 2;
  const head = new HeaderMap("request", [
    [":authority", request.authority],
    [":path", request.path],
    [":method", request.method],
    [":scheme", scheme],
  ]);
  for (const [name, value] of [["x-forwarded-proto", scheme], ["x-request-id", requestId]]) {
    if (!carries(headers, name)) head.add(name, value);
  }
  const cookies = [];
  for (const [given, value] of headers) {
    const name = lower(given);
    if (name === "cookie" && isHttp2) cookies.push(value);
    else if (name !== "host") head.add(name, value);
    else if (!isHttp2) head.add(":authority", value);
  }
  if (cookies.length > 0) head.add("cookie", cookies.join("; "));
  const length = announcedLength(request);
  if (length !== undefined) head.add("content-length", String(length));
  const isUpgrade =
    head.first("upgrade") !== undefined && lower(head.first("connection") ?? "").includes("upgrade");
  if (!isUpgrade) ["connection", "upgrade"].forEach((name) => head.remove(name));
  ["keep-alive", "proxy-connection", "transfer-encoding"].forEach((name) => head.remove(name));
  return head;
}

/** The length that an HTTP/1.1 client writes for a body in one piece. */
function announcedLength({ version, headers, body, trailers }) {
  const isFramed = carries(headers, "content-length") || carries(headers, "transfer-encoding");
  if (!body || version === 2 || body.length > 1 || trailers.length > 0 || isFramed) return undefined;
  return body.reduce((size, piece) => size + piece.length, 0);
}

/**
 * A message on its way to the filter: its head, the pieces of its body, each with whether it ends the
 * message, and its trailers. Without pieces and trailers the head ends it.
 */
export function incomingRequest(head, request) {
  const pieces = (request.body ?? []).filter(isFilled);
  const trailers = new HeaderMap("trailers", request.trailers);
  // An empty HTTP/1.1 body announced with its length is no body; an empty DATA frame is one.
  const isBodiless = !request.body || (request.version !== 2 && pieces.length === 0);
  if (isBodiless && trailers.size === 0) return { head, pieces: [], trailers };
  return streamed(head, pieces, trailers);
}

export function incomingResponse(upstream, toHead) {
  const head = upstreamHead(upstream, toHead);
  const trailers = new HeaderMap("trailers", toHead ? [] : upstream.trailers);
  if (toHead || upstream.body.length === 0) return { head, pieces: [], trailers };
  return streamed(head, [upstream.body], trailers);
}

/** The end of a body comes as a piece of its own, unless trailers are the end. */
function streamed(head, filled, trailers) {
  const pieces = filled.map((piece) => ({ piece, last: false }));
  if (trailers.size === 0) pieces.push({ piece: new Uint8Array(0), last: true });
  return { head, pieces, trailers };
}

/** The body of a local reply comes in one piece. */
export function incomingReply({ head, body }) {
  const pieces = body.length > 0 ? [{ piece: body, last: true }] : [];
  return { head, pieces, trailers: new HeaderMap("trailers") };
}

/** Whether the request is gRPC, in Envoy's reading of its content type. */
export function isGrpc(head) {
  return /^application\/grpc(\+|$)/.test(head.first("content-type") ?? "");
}

/** The head as the upstream receives it, or the reply of a router that does not send it. */
export function forwarded(head, version) {
  const refuse = (reason, name) => {
    const text = `${reason}: ${name}`;
    const details = `filter_removed_required_request_headers{${text}}`.replaceAll(" ", "_");
    return { reply: proxyReply(503, details, text) };
  };
  for (const [given, value] of head.fields) {
    const name = given.replace(/^:/, "");
    if (!/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(name)) return refuse("invalid header name", name);
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return refuse("invalid header value", name);
  }
  for (const name of [":method", ":path", ":authority"]) {
    if (head.first(name) === undefined) return refuse("missing required header", name);
  }
  const [method, path, authority] = [":method", ":path", ":authority"].map((name) => head.first(name));
  return { request: { version, method, path, authority, headers: head.plain(), body: null, trailers: [] } };
}

/** A reply that the proxy makes itself. */
export function proxyReply(status, details, body) {
  return { status, details, body: bytesOf(encode(body)), headers: [], grpcStatus: undefined };
}

/** Head and body of a local reply. */
export function localReply(reply, grpc, toHead) {
  const head = new HeaderMap("response", [[":status", String(reply.status)], ...reply.headers]);
  const none = new Uint8Array(0);
  if (grpc) {
    head.replace(":status", "200");
    head.replace("content-type", "application/grpc");
    if (!head.first("grpc-status")) {
      head.replace("grpc-status", String(reply.grpcStatus ?? grpcStatus(reply.status)));
    }
    if (reply.body.length > 0 && !toHead) head.replace("grpc-message", percentEncoded(reply.body));
    head.remove("content-length");
    return { head, body: none };
  }
  if (reply.body.length === 0) {
    ["content-length", "content-type"].forEach((name) => head.remove(name));
    return { head, body: none };
  }
  head.replace("content-length", String(reply.body.length));
  if (!head.first("content-type")) head.replace("content-type", "text/plain");
  return { head, body: toHead ? none : reply.body };
}

/** The gRPC status that Envoy takes an HTTP status for. */
export function grpcStatus(http) {
  const known = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 };
  return known[http] ?? 2;
}

function percentEncoded(message) {
  const hex = (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  const isPlain = (byte) => byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
  return Array.from(message, (byte) => (isPlain(byte) ? String.fromCharCode(byte) : hex(byte))).join("");
}

/** The upstream's head as the router hands it on. */
export function upstreamHead({ status, headers, body, trailers }, toHead) {
  const head = new HeaderMap("response", [[":status", String(status)]]);
  for (const [name, value] of headers) {
    if (!["connection", "keep-alive", "transfer-encoding"].includes(lower(name))) head.add(name, value);
  }
  const hasBody = !(status < 200 || status === 204 || status === 304);
  const isFramed = carries(headers, "transfer-encoding") || head.first("content-length") !== undefined;
  if (hasBody && !isFramed && !toHead && trailers.length === 0) {
    head.add("content-length", String(body.length));
  }
  head.replace("x-envoy-upstream-service-time", "0");
  return head;
}

/** The head that the client receives, once the connection manager has set its own fields. */
export function clientResponse(head, nowNanos) {
  const sent = head.copy();
  sent.replace("server", "envoy");
  if (sent.first("date") === undefined) {
    sent.add("date", new Date(Number(nowNanos / 1_000_000n)).toUTCString());
  }
  const status = Number(sent.first(":status") ?? 0);
  return { status, headers: sent.plain(), body: new Uint8Array(0), trailers: [] };
}
