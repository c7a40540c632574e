// An authorization server, npm's oidc-provider, and a client of it that makes proofs with npm's dpop.
//
//   node server.mjs PACKAGES PORT STORE
//
// PACKAGES is the folder in which npm has put both; PORT 0 is a free one. What is issued is written to the file STORE,
// and known again after a restart. Where it listens it says on a line of its own. It ends with its standard input.
import { X509Certificate, createPrivateKey } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const [packages, port, store] = process.argv.slice(2);
const part = (file) => import(`${packages}/node_modules/${file}`);
const [{ Provider }, dpop] = await Promise.all([part("oidc-provider/lib/index.js"), part("dpop/build/index.js")]);

const ISSUER = "https://id.example.com";

// What is kept of each model, by its name and identifier; null for what is gone.
const kept = new Map(
  existsSync(store) ? readFileSync(store, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [],
);
function keep(name, payload) {
  kept.set(name, payload);
  appendFileSync(store, `${JSON.stringify([name, payload])}\n`);
}

class Adapter {
  constructor(model) {
    this.model = model;
  }
  async upsert(id, payload) {
    keep(`${this.model} ${id}`, payload);
  }
  async find(id) {
    return kept.get(`${this.model} ${id}`) ?? undefined;
  }
  async destroy(id) {
    keep(`${this.model} ${id}`, null);
  }
  async consume() {}
  async findByUid() {}
  async findByUserCode() {}
  async revokeByGrantId() {}
}

function signingKey() {
  const pem = readFileSync(new URL("../keys/p256.pem", import.meta.url));
  return { ...createPrivateKey(pem).export({ format: "jwk" }), alg: "ES256", use: "sig", kid: "issuer" };
}

const client = (client_id, more) => ({
  client_id,
  client_secret: "s3cret",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  id_token_signed_response_alg: "ES256",
  token_endpoint_auth_method: "client_secret_post",
  ...more,
});
const shops = Array.from({ length: 16 }, (_, number) => client(`shop-${number}`));

const provider = new Provider(ISSUER, {
  adapter: Adapter,
  jwks: { keys: [signingKey()] },
  clients: [
    ...shops,
    // The filter.
    client("gateway", { grant_types: [], token_endpoint_auth_method: "client_secret_basic" }),
    client("wallet", { dpop_bound_access_tokens: true }),
    client("mesh", { tls_client_certificate_bound_access_tokens: true }),
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, asking) => asking.clientId === "gateway" },
    dPoP: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      // As a proxy in front would tell of it.
      getCertificate(ctx) {
        const der = ctx.get("x-client-certificate");
        return der ? new X509Certificate(Buffer.from(der, "base64")) : undefined;
      },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:orders",
      useGrantedResource: () => true,
      // urn:NAME, urn:NAME:jwt
      getResourceServerInfo(ctx, resource) {
        const [, name, format] = resource.split(":");
        return {
          audience: `${name}-api`,
          scope: "orders.read orders.write",
          accessTokenTTL: 3600,
          accessTokenFormat: format ?? "opaque",
          jwt: { sign: { alg: "ES256" } },
        };
      },
    },
  },
});
provider.proxy = true;
const serve = provider.callback();

const keys = new Map();
function keyPair(name, algorithm) {
  if (!keys.has(name)) keys.set(name, dpop.generateKeyPair(algorithm));
  return keys.get(name);
}

// The client: for { key, algorithm, method, uri, token, nonce }, a proof.
async function prove(request, response) {
  let text = "";
  for await (const piece of request) text += piece;
  const asked = JSON.parse(text);
  const pair = await keyPair(asked.key, asked.algorithm ?? "ES256");
  const proof = await dpop.generateProof(pair, asked.uri, asked.method, asked.nonce, asked.token);
  response.end(proof);
}

const server = createServer((request, response) => {
  if (request.url === "/client/proof") {
    prove(request, response).catch((error) => response.writeHead(500).end(String(error)));
    return;
  }
  // Its clients reach it by TLS, which ends in front of it.
  request.headers["x-forwarded-proto"] = "https";
  serve(request, response);
});
server.listen({ host: "127.0.0.1", port: Number(port), backlog: 1024 }, () => {
  console.log(`listening on ${server.address().port}`);
});
process.stdin.on("end", () => process.exit()).resume();
