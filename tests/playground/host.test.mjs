import assert from "node:assert/strict";
import { test } from "node:test";

import { Host, binary, bytesOf, decode, encode } from "../../src/hosts/browser/host.js";
import { HeaderMap, deserialize, serialize } from "../../src/hosts/browser/headers.js";
import { forwarded, grpcStatus, isGrpc, localReply, proxyReply, requestHead } from "../../src/hosts/browser/http.js";
import { PAUSE, TRAP, moduleThat } from "./modules.mjs";

const request = { version: 1, method: "GET", path: "/", authority: "a.example", headers: [], body: null, trailers: [] };
const upstream = { status: 200, headers: [], body: bytesOf("yes"), trailers: [] };

async function hostOf(code) {
  const host = await Host.load(await WebAssembly.compile(moduleThat(code)));
  assert.equal(host.configure(new Uint8Array(0)), true);
  return host;
}

test("bytes survive the crossing, whatever they are", () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  assert.deepEqual(bytesOf(binary(all)), all);
  assert.equal(decode(encode("Grüße, 世界")), "Grüße, 世界");
  const pairs = [["a", "\xff\x00"], ["", ""]];
  assert.deepEqual(deserialize(serialize(pairs)), pairs);
  assert.equal(serialize([]).length, 0);
});

test("pairs that do not hold together are none", () => {
  for (const bytes of [[1, 0, 0, 0, 255, 255, 255, 255], Array(64).fill(255), [1, 0]]) {
    assert.deepEqual(deserialize(Uint8Array.from(bytes)), []);
  }
});

test("only what Envoy joins is joined", () => {
  const map = new HeaderMap("request");
  for (const name of ["Authorization", "authorization", "X-Api-Key", "x-api-key"]) map.add(name, "v");
  map.add(":path", "/");
  assert.equal(map.fields[0][0], ":path");
  assert.equal(map.first("authorization"), "v,v");
  assert.equal(map.first("x-api-key"), "v");
  assert.equal(map.joined("x-api-key"), "v,v");
});

test("a trap is answered with 503, and so is every request after it", async () => {
  const host = await hostOf(TRAP);
  for (const expected of [/^proxy_on_request_headers: /, /has failed before/]) {
    const { response, failure, upstream: seen } = host.exchange(request, upstream);
    assert.equal(response.status, 503);
    assert.equal(response.body.length, 0);
    assert.deepEqual(response.headers.map(([name]) => name), ["server", "date"]);
    assert.match(failure, expected);
    assert.equal(seen, undefined);
  }
  assert.equal(host.hasFailed, true);
});

test("a stream that nothing resumes hangs, and reaches nobody", async () => {
  const host = await hostOf(PAUSE);
  const { ended, response, upstream: seen } = host.exchange(request, upstream);
  assert.equal(ended, "hang");
  assert.equal(response, undefined);
  assert.equal(seen, undefined);
  assert.equal(host.hasFailed, false);
});

test("an import that Envoy does not have is refused, by its name", async () => {
  const wat = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 9, 1, 3, 101, 110, 118, 1, 120, 0, 0];
  const module = await WebAssembly.compile(Uint8Array.from(wat));
  await assert.rejects(Host.load(module), /Envoy has no function env\.x/);
});

test("the head is that of the connection manager", () => {
  const headers = [["Host", "b"], ["Connection", "close"], ["Cookie", "a=1"], ["cookie", "b=2"], ["X-A", "1"]];
  const head = (version) => requestHead({ ...request, version, headers, body: [bytesOf("12")] }, "id").plain();
  assert.deepEqual(head(2).slice(2), [["x-a", "1"], ["cookie", "a=1; b=2"]]);
  assert.deepEqual(head(1).slice(2), [["cookie", "a=1"], ["cookie", "b=2"], ["x-a", "1"], ["content-length", "2"]]);
});

test("the router does not send what is no field", () => {
  const head = requestHead(request, "id");
  head.add("x", "a\r\nb: c");
  assert.equal(forwarded(head, 1).reply.status, 503);
});

test("gRPC gets a status of its own", () => {
  const grpc = (type) => isGrpc(new HeaderMap("request", [["content-type", type]]));
  assert.deepEqual(["application/grpc", "application/grpc+proto", "application/grpc-web"].map(grpc), [true, true, false]);
  const { head, body } = localReply(proxyReply(403, "no", "a%\n"), true, false);
  assert.equal(head.first(":status"), "200");
  assert.equal(head.first("grpc-status"), "7");
  assert.equal(head.first("grpc-message"), "a%25%0A");
  assert.equal(body.length, 0);
  assert.equal(grpcStatus(418), 2);
});
