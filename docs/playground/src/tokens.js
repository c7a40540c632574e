// The keys of the page, and what is made with them.

import { rangeOf } from "./document.js";
import { byId, el, fill } from "./dom.js";
import { readHeaders, writeHeaders } from "./form.js";
import { SigningKey } from "./token.js";

const USUAL = {
  iss: "https://id.example.com/",
  aud: "orders-api",
  sub: "alice",
  scope: "orders.read",
  exp: "now+300",
};

/** Keys by the names that examples have for them; `own` is that of the panel. */
export class Keys {
  #keys = new Map();

  async get(name) {
    if (!this.#keys.has(name)) this.#keys.set(name, await SigningKey.make());
    return this.#keys.get(name);
  }

  async renew(name) {
    this.#keys.delete(name);
    return this.get(name);
  }
}

/** The public key as documents have it. */
export const publicKey = ({ jwk }, kid) => ({ ...jwk, use: "sig", alg: "ES256", kid });

/** Puts the page's keys where an example has those of the project, whose halves are public. */
export async function withOwnKeys(document, published, keys) {
  let text = document;
  for (const [name, { x, y }] of Object.entries(published)) {
    if (!text.includes(x)) continue;
    const { jwk } = await keys.get(name);
    text = text.replaceAll(x, jwk.x).replaceAll(y, jwk.y);
  }
  return text;
}

/** A text with a token for each `{{token:NAME}}`. */
export async function withTokens(text, tokens, keys, now) {
  let filled = text;
  for (const [all, name] of text.matchAll(/\{\{token:([^}]+)\}\}/g)) {
    const described = tokens[name];
    if (!described?.claims) continue;
    const key = await keys.get(described.key);
    filled = filled.replace(all, await key.sign(described.header ?? {}, described.claims, now));
  }
  return filled;
}

/** The panel that makes tokens. `page` gives it the editor, the document, answers and the time. */
export class TokenPanel {
  #key = "own";

  constructor(keys, page) {
    this.keys = keys;
    this.page = page;
    byId("sign").addEventListener("click", () => this.#sign());
    byId("put-key").addEventListener("click", () => this.#putKey());
    byId("new-key").addEventListener("click", async () => {
      await keys.renew(this.#key);
      await this.#showKey();
      this.#say("There is a new key; put it into the document too.");
    });
    byId("kid").addEventListener("input", () => this.#showKey());
  }

  /** Begins with the key and the claims of an example's token, or with usual ones. */
  async begin(token) {
    this.#key = token?.key ?? "own";
    byId("kid").value = token?.header?.kid ?? "playground";
    byId("claims").value = JSON.stringify(token?.claims ?? USUAL, null, 2);
    this.#say("");
    await this.#showKey();
  }

  /** The providers that the document has. */
  offer(document) {
    const names = Object.keys(document?.providers ?? {});
    const before = byId("provider").value;
    fill(byId("provider"), names.map((name) => el("option", { value: name }, name)));
    if (names.includes(before)) byId("provider").value = before;
    byId("put-key").disabled = names.length === 0;
  }

  async #showKey() {
    const key = await this.keys.get(this.#key);
    byId("jwk").value = JSON.stringify(publicKey(key, byId("kid").value));
  }

  #say(text) {
    byId("token-said").textContent = text;
  }

  async #sign() {
    let claims;
    try {
      claims = JSON.parse(byId("claims").value);
    } catch (error) {
      this.#say(`The claims are no JSON: ${error.message}`);
      return;
    }
    const key = await this.keys.get(this.#key);
    const token = await key.sign({ kid: byId("kid").value }, claims, this.page.now());
    const others = readHeaders(byId("headers").value).filter(([name]) => name.toLowerCase() !== "authorization");
    byId("headers").value = writeHeaders([["authorization", `Bearer ${token}`], ...others]);
    this.page.requestChanged();
    this.#say("The request has the token in its header authorization.");
  }

  async #putKey() {
    const name = byId("provider").value;
    const key = await this.keys.get(this.#key);
    const jwks = JSON.stringify({ keys: [publicKey(key, byId("kid").value)] });
    const { editor } = this.page;
    const part = name.replaceAll("~", "~0").replaceAll("/", "~1");
    const inline = rangeOf(editor.text, editor.format, `/providers/${part}/jwks/inline`);
    if (inline) {
      // JSON is YAML too, in one line; what follows a block begins a line of its own.
      const end = /\n\s*$/.test(editor.text.slice(inline.from, inline.to)) ? "\n" : "";
      editor.replace(inline.from, inline.to, `${jwks}${end}`);
      this.#say(`The provider ${name} has the key now, and no other.`);
      return;
    }
    const call = this.page.calls().find((each) => /jwks|keys|certs/i.test(each.url));
    if (call) {
      this.page.answer(call.key, { status: 200, body: jwks });
      this.#say(`${call.url} answers with the key now.`);
      return;
    }
    this.#say("The document has no keys of that provider to replace, and fetches none that are known yet.");
  }
}
