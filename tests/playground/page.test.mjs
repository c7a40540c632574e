import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { readCurl, words, writeCurl } from "../../docs/playground/src/curl.js";
import { fold, unfold } from "../../docs/playground/src/link.js";
import { Schema } from "../../docs/playground/src/schema.js";
import { explanation, split } from "../../docs/playground/src/session.js";
import { SigningKey, at } from "../../docs/playground/src/token.js";

test("a command is parted as a shell parts it", () => {
  const command = `curl -s 'a b'"c \\" $d" \\\n  e\\ f $'g\\n\\x41' ''`;
  assert.deepEqual(words(command), ["curl", "-s", `a bc " $d`, "e f", "g\nA", ""]);
});

test("requests are read from commands", () => {
  const read = readCurl(`curl -sSXPUT 'https://a.example/x?y=1' -H 'Authorization: Bearer t' -H 'X-Empty;' -H 'Accept:' --data-raw '{"a": "@b"}'`);
  assert.deepEqual(read, {
    method: "PUT",
    url: "https://a.example/x?y=1",
    headers: [["Authorization", "Bearer t"], ["X-Empty", ""], ["content-type", "application/x-www-form-urlencoded"]],
    body: '{"a": "@b"}',
    http: 1,
  });
  assert.equal(readCurl("curl a.example -d x=1 -d y=2").body, "x=1&y=2");
  assert.equal(readCurl("curl a.example -d x=1").method, "POST");
  assert.equal(readCurl("curl -G a.example -d x=1").url, "http://a.example?x=1");
  assert.equal(readCurl("curl -I a.example").method, "HEAD");
  assert.deepEqual(readCurl("curl -u a:b a.example").headers, [["authorization", "Basic YTpi"]]);
  assert.equal(readCurl("curl --json '{}' a.example").headers[0][1], "application/json");
  assert.equal(readCurl("curl --request=DELETE --http2 a.example").http, 2);
});

test("a command that cannot be read says why", () => {
  assert.throws(() => readCurl("wget a.example"), /does not begin with curl/);
  assert.throws(() => readCurl("curl -d @body.json a.example"), /file of yours/);
  assert.throws(() => readCurl("curl -F a=b a.example"), /-F/);
  assert.throws(() => readCurl("curl -s"), /no URL/);
  assert.throws(() => readCurl("curl a.example -H"), /lacks its argument/);
});

test("what is written is read again as it was", () => {
  const request = {
    method: "POST",
    url: "https://a.example/it's",
    headers: [["x", "a 'b' \"c\" $d \\"], ["content-type", "text/plain"], ["empty", ""]],
    body: "line\nline 'two'",
    http: 2,
  };
  assert.deepEqual(readCurl(writeCurl(request)), request);
  const form = { ...request, body: "--b\r\nit's \\n\r\n" };
  assert.deepEqual(readCurl(writeCurl(form)), form);
  assert.ok(!writeCurl(form).includes("\r"));
});

test("a URL is taken as it stands", () => {
  assert.deepEqual(split("http://a.example:80/x/../y?z#f"), { scheme: "http", authority: "a.example:80", path: "/x/../y?z" });
  assert.deepEqual(split("/only"), { scheme: "https", authority: "api.example.com", path: "/only" });
  assert.deepEqual(split("https://a.example"), { scheme: "https", authority: "a.example", path: "/" });
});

test("the words of policies are read, with what stands in JSON", () => {
  const line = 'refused_by=jwt; mode=enforce; code=jwt_expired; reason=expired; detail={"rule":"/a;b","x":"}\\""}; errors=[{"a":1}]';
  assert.deepEqual(explanation(line), {
    refused_by: "jwt",
    mode: "enforce",
    code: "jwt_expired",
    reason: "expired",
    detail: { rule: "/a;b", x: '}"' },
    errors: [{ a: 1 }],
  });
});

test("a link carries everything, and is refused when it holds too much", async () => {
  const state = { document: "{}\u2028 Grüße", request: { headers: [["a", "b"]] } };
  assert.deepEqual(await unfold(`#v1=${await fold(state)}`), state);
  assert.equal(await unfold("#elsewhere"), undefined);
  await assert.rejects(unfold("#v1=AAAA"));
  const bomb = await fold({ document: "a".repeat(5 << 20) });
  await assert.rejects(unfold(`#v1=${bomb}`), /too much/);
});

test("tokens are signed by a key that can be checked", async () => {
  const key = await SigningKey.make();
  const token = await key.sign({ kid: "k" }, { exp: "now+300", list: ["now-1"], sub: "nowhere" }, 1000);
  const [header, payload, signature] = token.split(".").map((part) => Buffer.from(part, "base64url"));
  assert.deepEqual(JSON.parse(header), { alg: "ES256", typ: "JWT", kid: "k" });
  assert.deepEqual(JSON.parse(payload), { exp: 1300, list: [999], sub: "nowhere" });
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const checking = await crypto.subtle.importKey("jwk", key.jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const signed = Buffer.from(token.slice(0, token.lastIndexOf(".")));
  assert.equal(await crypto.subtle.verify(algorithm, checking, signature, signed), true);
  assert.equal(at("now", 5), 5);
});

test("a schema says what may stand where", () => {
  const schema = new Schema({
    $defs: { mode: { description: "How", enum: ["enforce", "shadow"], default: "enforce" } },
    properties: {
      mode: { $ref: "#/$defs/mode" },
      routes: { items: { anyOf: [{ properties: { name: { type: "string" } }, required: ["name"] }, { properties: { open: { type: "boolean" } } }] } },
      providers: { additionalProperties: { properties: { issuer: {} } } },
    },
  });
  assert.deepEqual([...schema.members(["routes", 0]).keys()], ["name", "open"]);
  assert.equal(schema.members(["routes", 0]).get("name").required, true);
  assert.deepEqual([...schema.members(["providers", "any"]).keys()], ["issuer"]);
  assert.deepEqual(schema.values(["mode"]), ["enforce", "shadow"]);
  assert.deepEqual(schema.values(["routes", 3, "open"]), [true, false]);
  assert.equal(schema.hint(["mode"]).description, "How");
  assert.equal(schema.hint(["nothing"]), undefined);
  assert.deepEqual([...new Schema(undefined).members([]).keys()], []);
});

const style = await readFile(new URL("../../docs/playground/style.css", import.meta.url), "utf8");

/** The colours of a block of custom properties. */
function colours(block) {
  return Object.fromEntries([...block.matchAll(/--([a-z-]+): #([0-9a-f]{6});/g)].map(([, name, hex]) => [name, hex]));
}

/** Relative luminance, as WCAG 2 has it. */
function luminance(hex) {
  const parts = hex.match(/../g).map((each) => parseInt(each, 16) / 255);
  const [r, g, b] = parts.map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test("texts can be read on what they stand, in the light and in the dark", () => {
  const [light, dark] = style.split("@media (prefers-color-scheme: dark)").map((part) => colours(part.split("\n}\n")[0]));
  assert.equal(Object.keys(light).length, Object.keys(dark).length);
  const pairs = ["text panel", "text field", "text page", "muted panel", "muted page", "muted field", "on-accent accent", "accent panel"];
  pairs.push("good good-back", "bad bad-back", "note note-back", "good panel", "bad panel", "note panel");
  pairs.push("code-name field", "code-text field", "code-value field", "code-name line", "code-text line", "code-value line", "text selection");
  for (const theme of [light, dark]) {
    for (const pair of pairs) {
      const [one, other] = pair.split(" ").map((name) => luminance(theme[name])).sort((a, b) => b - a);
      const contrast = (one + 0.05) / (other + 0.05);
      assert.ok(contrast >= 4.5, `${pair}: ${contrast.toFixed(2)}`);
    }
  }
});

test("the project's schema can be walked, where there is one", async () => {
  const path = new URL("../../docs/schema/portcullis.schema.json", import.meta.url);
  const text = await readFile(path, "utf8").catch(() => "{}");
  const schema = new Schema(JSON.parse(text));
  const isThere = text !== "{}";
  assert.equal(schema.members(["routes", 0]).has("jwt"), isThere);
  assert.equal(schema.members(["providers", "any", "jwks"]).has("inline"), isThere);
  assert.equal(schema.values(["mode"]).includes("shadow"), isThere);
  assert.equal(Boolean(schema.hint(["routes", 0, "match"])?.description), isThere);
});
