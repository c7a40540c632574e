// The page's sessions, with the module that PORTCULLIS_WASM names.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Session } from "../../docs/playground/src/session.js";

const module = await WebAssembly.compile(await readFile(process.env.PORTCULLIS_WASM));

const SERVICE = { status: 200, headers: [["content-type", "text/plain"]], body: "yes" };
const get = (url, headers = []) => ({ http: 1, method: "GET", url, headers, body: "" });

/** At a time that stands still. */
const WORLD = { client: "192.0.2.1:40000", at: 1_800_000_000_000, environment: {}, attributes: [], answer: () => undefined };
const open = (document, world = {}) => Session.open(module, JSON.stringify(document), { ...WORLD, ...world });

const document = (route, rest = {}) => ({
  version: 1,
  ...rest,
  routes: [{ name: "all", match: { path: { prefix: "/" } }, open: true, ...route }],
});

const bucket = (rest) => [
  { name: "each", key: [], token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: "1s" }, ...rest },
];

test("a document that is refused is told of in the filter's words", async () => {
  const { problems } = await open({ version: 1, routes: [{ name: "a", open: true, match: {}, crs: {} }] });
  assert.deepEqual(problems, ['/routes/0/crs: unknown field; did you mean "cors"?']);
});

test("what explain adds is shown of policies alone", async () => {
  const session = await open(document({ rate_limits: bucket() }, { access_log: {} }));
  const passed = session.send(get("https://a.example/x"), SERVICE);
  assert.equal(passed.upstreamIsWhole, true);
  assert.deepEqual(passed.explained[1].policy, "rate_limits");
  const fields = [...passed.response.headers, ...passed.upstream.headers].map(([name]) => name);
  assert.deepEqual(fields.filter((name) => /explain|playground|cache-control/.test(name)), []);
  assert.ok(!JSON.stringify(passed.record).includes("explain"));
  const refused = session.send(get("https://a.example/x"), SERVICE);
  assert.equal(refused.response.status, 429);
  const why = refused.explained.find((line) => line.refused_by === "rate_limits");
  assert.deepEqual([why.code, why.detail.rule], ["rate_limited", "/routes/0/rate_limits/0"]);
  const counted = new Map(refused.counters.map(([name, difference]) => [name, difference]));
  assert.equal(counted.get("portcullis.denied"), 1);
  session.pass(2);
  assert.equal(session.send(get("https://a.example/x"), SERVICE).response.status, 200);
});

test("a request that waits for its turn gets it, and the page is told how long that was", async () => {
  const limits = bucket({ on_limit: { delay: { max: "5s" } } });
  const session = await open(document({ rate_limits: limits }));
  assert.equal(session.send(get("https://a.example/x"), SERVICE).waitedNanos, 0n);
  const waited = session.send(get("https://a.example/x"), SERVICE);
  assert.equal(waited.response.status, 200);
  const milliseconds = Number(waited.waitedNanos / 1_000_000n);
  assert.ok(milliseconds > 300 && milliseconds < 1500, `${milliseconds} ms`);
});

test("without an access log the record is what it would be", async () => {
  const session = await open(document({}));
  const { record, recordIfAsked } = session.send(get("https://a.example/x?y=1"), SERVICE);
  assert.equal(record, undefined);
  assert.equal(recordIfAsked["portcullis.outcome"], "allowed");
  assert.equal(recordIfAsked["client.address"], "192.0.2.1");
});

test("calls are answered as the page says, and listed until it does", async () => {
  const asks = {
    version: 1,
    introspection_servers: {
      idp: {
        cluster: "idp",
        uri: "https://id.example.com/introspect",
        authentication: { client_secret_basic: { client_id: "gate", client_secret: { env: "SECRET" } } },
        audiences: "any",
      },
    },
    routes: [{ name: "all", match: { path: { prefix: "/" } }, introspection: { server: "idp" } }],
  };
  const token = [["authorization", "Bearer opaque"]];
  const key = "idp POST id.example.com/introspect";
  const environment = { SECRET: "s" };
  const silent = await open(asks, { environment });
  assert.equal(silent.problems, undefined, JSON.stringify(silent.problems));
  assert.equal(silent.send(get("https://a.example/", token), SERVICE).response.status, 503);
  assert.deepEqual(silent.calls.map((call) => [call.key, call.answered]), [[key, false]]);
  const body = JSON.stringify({ active: true, sub: "alice", exp: 1_800_000_600 });
  const answer = (asked) => (asked === key ? { status: 200, body, type: "application/json" } : undefined);
  const answered = await open(asks, { environment, answer });
  const { response, upstreamIsWhole } = answered.send(get("https://a.example/", token), SERVICE);
  assert.deepEqual([response.status, upstreamIsWhole], [200, true]);
});

test("attributes stand for what the proxy would say of the connection", async () => {
  const only = { "not-there": { action: "allow", from: { networks: ["inside"] } } };
  const inside = { networks: { inside: { addresses: ["10.0.0.0/8"] } }, access_rules: only };
  const statuses = [];
  for (const client of ["10.1.2.3:1", "192.0.2.1:1"]) {
    const session = await open(document({ access: { rules: ["not-there"] } }, inside), { client });
    assert.equal(session.problems, undefined, JSON.stringify(session.problems));
    statuses.push(session.send(get("https://a.example/"), SERVICE).response.status);
  }
  assert.deepEqual(statuses, [200, 403]);
});
