// Keys and tokens, made by WebCrypto in the page: ES256.

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const encoded = (value) => base64url(new TextEncoder().encode(JSON.stringify(value)));

/** A pair of keys, whose public half is a JWK. */
export class SigningKey {
  static async make() {
    const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    return new SigningKey(pair.privateKey, { kty, crv, x, y });
  }

  constructor(privateKey, jwk) {
    this.privateKey = privateKey;
    this.jwk = jwk;
  }

  /** Signs claims; texts `now`, `now+N` and `now-N` in them become that time in seconds. */
  async sign(header, claims, now) {
    const signed = [{ alg: "ES256", typ: "JWT", ...header }, at(claims, now)].map(encoded).join(".");
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    const bytes = new TextEncoder().encode(signed);
    const signature = await crypto.subtle.sign(algorithm, this.privateKey, bytes);
    return `${signed}.${base64url(new Uint8Array(signature))}`;
  }
}

/** With times in the place of `now+N`. */
export function at(value, now) {
  if (Array.isArray(value)) return value.map((item) => at(item, now));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, at(item, now)]));
  }
  const relative = typeof value === "string" ? /^now([+-]\d+)?$/.exec(value) : undefined;
  return relative ? now + Number(relative[1] ?? 0) : value;
}
