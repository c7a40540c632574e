// Makes npm-dpop.json: proofs of npm's `dpop`, with thumbprints of npm's `jose`. The keys are thrown away.
import { writeFileSync } from "node:fs";
import * as dpop from "dpop";
import { calculateJwkThumbprint, decodeJwt, exportJWK } from "jose";

const requests = [
  ["GET", "https://api.example.com/orders"],
  ["POST", "https://api.example.com/orders?page=2#top"],
  ["DELETE", "https://API.example.com:443/orders/%7ealice"],
];
const proofs = [];
for (const alg of ["ES256", "RS256", "PS256", "Ed25519"]) {
  const pair = await dpop.generateKeyPair(alg, { extractable: true });
  const jkt = await calculateJwkThumbprint(await exportJWK(pair.publicKey), "sha256");
  for (const [method, uri] of requests) {
    const token = `${alg}.${method}~opaque+token/1=`;
    const proof = await dpop.generateProof(pair, uri, method, undefined, token);
    proofs.push({ alg, method, uri, token, jkt, iat: decodeJwt(proof).iat, proof });
  }
}
writeFileSync("npm-dpop.json", JSON.stringify({ proofs }, null, 1) + "\n");
