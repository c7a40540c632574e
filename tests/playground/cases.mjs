// Runs cases in the module, in the host for browsers.
//
//   node cases.mjs MODULE < cases > outcomes
//
// A case is a line of JSON, and so is its outcome; texts are bytes, a character each.

import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

import { Host, bytesOf, encode } from "../../src/hosts/browser/host.js";
import { binary } from "../../src/hosts/browser/bytes.js";

const module = await WebAssembly.compile(await readFile(process.argv[2]));

// What Envoy has and the cases need; without `verify_signature` the module verifies by itself.
const none = new Uint8Array(0);
const functions = { declare_property: () => none, set_envoy_filter_state: () => none };

function called(servers, { cluster, body }) {
  const answers = servers[cluster];
  if (!answers) return null;
  const text = binary(body);
  const found = answers.find(([when]) => text.includes(when));
  return found ? message(found[1]) : { status: 404, headers: [], body: none, trailers: [] };
}

const message = ({ status, headers, body, trailers }) => ({ status, headers, body: bytesOf(body), trailers });

function outcome(host, { request, upstream }) {
  const body = request.body?.map(bytesOf) ?? null;
  const found = host.exchange({ ...request, body }, message(upstream));
  const { response } = found;
  const whole = found.upstream && { ...found.upstream, body: found.upstream.body?.map(binary) ?? null };
  return {
    failure: found.failure ?? (found.ended === "hang" ? "the stream hangs" : null),
    response: response && { ...response, body: binary(response.body) },
    upstream: found.upstreamIsWhole ? whole : null,
    went_ahead: Boolean(found.upstream),
    log: found.log.map((line) => line.message),
  };
}

async function run({ document, environment, now, servers, headers_stop_iteration, exchanges }) {
  const host = await Host.load(module, {
    environment,
    now: () => BigInt(now) * 1_000_000_000n,
    functions,
    headersStopIteration: headers_stop_iteration,
    attributes: [["source\0address", encode("192.0.2.1:40000")]],
    call: (call) => called(servers, call),
  });
  const accepted = host.configure(bytesOf(document));
  const log = host.log.map((line) => line.message);
  return { accepted, log, exchanges: accepted ? exchanges.map((each) => outcome(host, each)) : [] };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
}
