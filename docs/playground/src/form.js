// The fields of the page, read and written as one state.

import { readCurl, writeCurl } from "./curl.js";
import { byId } from "./dom.js";
import { u64, encode } from "../../../src/hosts/browser/bytes.js";

/** `name: value`, a line each. */
export function readHeaders(text) {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => {
    const at = line.indexOf(":", 1);
    return at < 0 ? [line.trim(), ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
}

export const writeHeaders = (headers) => headers.map(([name, value]) => `${name}: ${value}`).join("\n");

export function readRequest() {
  return {
    http: Number(byId("http").value),
    method: byId("method").value.trim() || "GET",
    url: byId("url").value.trim(),
    headers: readHeaders(byId("headers").value),
    body: withEnds(byId("body").value),
  };
}

/** A text area has line feeds alone; parts of a form end their lines with CR LF. */
function withEnds(text) {
  return byId("line-ends").value === "crlf" ? text.replace(/\r?\n/g, "\r\n") : text;
}

export function writeRequest({ http = 1, method, url, headers, body }) {
  byId("http").value = String(http);
  byId("method").value = method;
  byId("url").value = url;
  byId("headers").value = writeHeaders(headers);
  byId("body").value = body ?? "";
  byId("line-ends").value = body?.includes("\r\n") ? "crlf" : "lf";
  byId("curl").value = writeCurl(readRequest());
}

/** The request of the form that is shown; what is pasted goes into the fields. Throws if it cannot be read. */
export function takeRequest() {
  byId("curl-problem").textContent = "";
  if (byId("curl-form").hidden) return readRequest();
  const pasted = byId("curl").value;
  const request = readCurl(pasted);
  writeRequest(request);
  byId("curl").value = pasted;
  return readRequest();
}

const SERVICE = { status: 200, headers: [["content-type", "text/plain"]], body: "the service's response" };

export function readUpstream() {
  return {
    status: Number(byId("status").value) || 200,
    headers: readHeaders(byId("upstream-headers").value),
    body: byId("upstream-body").value,
  };
}

export function writeUpstream({ status, headers, body } = SERVICE) {
  byId("status").value = String(status);
  byId("upstream-headers").value = writeHeaders(headers);
  byId("upstream-body").value = body;
}

const WORLD = ["client", "at", "environment", "attributes"];

export const readWorld = () => Object.fromEntries(WORLD.map((name) => [name, byId(name).value]));

export function writeWorld(world = {}) {
  const usual = { client: "192.0.2.1" };
  for (const name of WORLD) byId(name).value = world[name] ?? usual[name] ?? "";
}

/** What the fields of the world mean; an error says which cannot be read. */
export function settings({ client, at, environment, attributes }) {
  const millis = at.trim() === "" ? undefined : Date.parse(/Z|[+-]\d\d:?\d\d$/.test(at) || !at.includes("T") ? at : `${at}Z`);
  if (Number.isNaN(millis)) throw new Error(`“${at}” is no time; write 2027-01-15T09:00:00Z`);
  return {
    client: withPort(client.trim()),
    at: millis,
    environment: Object.fromEntries(pairs(environment, "an environment variable")),
    attributes: pairs(attributes, "an attribute").map(([name, value]) => [name.replaceAll(".", "\0"), attribute(value)]),
  };
}

function withPort(address) {
  if (address === "") return "192.0.2.1:40000";
  if (/^\d+\.\d+\.\d+\.\d+$/.test(address)) return `${address}:40000`;
  if (address.includes(":") && !address.startsWith("[")) return /^[\d.]+:\d+$/.test(address) ? address : `[${address}]:40000`;
  return address.startsWith("[") && !/\]:\d+$/.test(address) ? `${address}:40000` : address;
}

function pairs(text, what) {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter(Boolean).map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`“${line}” is not ${what}: NAME=value`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
}

/** In Envoy's encoding: `true` and `false` are a byte, numbers eight, anything else is text. */
function attribute(value) {
  if (value === "true" || value === "false") return value === "true" ? "\x01" : "\0";
  return /^\d{1,18}$/.test(value) ? u64(BigInt(value)) : encode(value.replace(/^"(.*)"$/, "$1"));
}
