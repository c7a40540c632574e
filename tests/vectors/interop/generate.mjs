// Tokens of jose and of jsonwebtoken, with keys made for them and thrown away. Writes one file for each.
//
//     npm install jose jsonwebtoken && node generate.mjs

import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import * as crypto from 'node:crypto';
import * as jose from 'jose';

const require = createRequire(import.meta.url);
const jsonwebtoken = require('jsonwebtoken');
const NOW = 1700000000;
const CLAIMS = {
  iss: 'https://issuer.interop.test/', aud: 'orders-api', sub: 'älice', iat: NOW, exp: 4102444800,
  scope: 'orders.read', nested: { roles: ['a', 'b'], level: 3, ok: true },
};

const changed = (token) => {
  const [header, , signature] = token.split('.');
  const other = Buffer.from(JSON.stringify({ ...CLAIMS, sub: 'mallory' })).toString('base64url');
  return [header, other, signature].join('.');
};

const cut = (token) => {
  const [header, payload, signature] = token.split('.');
  const raw = Buffer.from(signature, 'base64url');
  raw[raw.length >> 1] ^= 4;
  return [header, payload, raw.toString('base64url')].join('.');
};

async function cases(name, key, sign, other) {
  const good = await sign(CLAIMS);
  const all = [
    ['', 'valid', key, good],
    [' with a kid and a type', 'valid', key, await sign(CLAIMS, { kid: 'k1', typ: 'at+jwt' })],
    [' for several', 'valid', key, await sign({ ...CLAIMS, aud: ['stock-api', 'orders-api'] })],
    [' expired', 'invalid', key, await sign({ ...CLAIMS, exp: NOW + 60 })],
    [' not yet valid', 'invalid', key, await sign({ ...CLAIMS, nbf: 4102444700 })],
    [' for somebody else', 'invalid', key, await sign({ ...CLAIMS, aud: 'stock-api' })],
    [' of somebody else', 'invalid', key, await sign({ ...CLAIMS, iss: 'https://other.test/' })],
    [' with another payload', 'invalid', key, changed(good)],
    [' with another signature', 'invalid', key, cut(good)],
    [' under another key', 'invalid', other, good],
  ];
  return all.map(([more, says, jwk, token]) => ({ id: name + more, says, jwk, token }));
}

async function withJose() {
  const names = ['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512',
    'ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA'];
  const found = [];
  for (const name of names) {
    const make = async () => {
      if (name.startsWith('HS')) {
        const secret = await jose.generateSecret(name, { extractable: true });
        return [secret, await jose.exportJWK(secret)];
      }
      const { privateKey, publicKey } = await jose.generateKeyPair(name, { extractable: true });
      return [privateKey, await jose.exportJWK(publicKey)];
    };
    const [[key, jwk], [, other]] = [await make(), await make()];
    const sign = (claims, header = {}) =>
      new jose.SignJWT(claims).setProtectedHeader({ alg: name, ...header }).sign(key);
    found.push(...await cases(name, jwk, sign, other));
  }
  const unsecured = new jose.UnsecuredJWT(CLAIMS).encode();
  found.push({ id: 'none', says: 'invalid', jwk: { kty: 'oct', k: 'A'.repeat(43) }, token: unsecured });
  const { privateKey, publicKey } = await jose.generateKeyPair('ECDH-ES', { extractable: true });
  const encrypted = await new jose.EncryptJWT(CLAIMS)
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' }).encrypt(publicKey);
  const jwk = await jose.exportJWK(publicKey);
  found.push({ id: 'encrypted', says: 'invalid', jwk, token: encrypted });
  void privateKey;
  const rsa = await jose.generateKeyPair('RS256', { extractable: true });
  const crit = await new jose.CompactSign(Buffer.from(JSON.stringify(CLAIMS)))
    .setProtectedHeader({ alg: 'RS256', crit: ['b64'], b64: true }).sign(rsa.privateKey);
  found.push({ id: 'b64, RFC 7797', says: 'valid', jwk: await jose.exportJWK(rsa.publicKey), token: crit });
  return found;
}

async function withJsonwebtoken() {
  const names = ['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512',
    'ES256', 'ES384', 'ES512'];
  const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  const found = [];
  for (const name of names) {
    const make = () => {
      if (name.startsWith('HS')) {
        const secret = crypto.createSecretKey(crypto.randomBytes(64));
        return [secret, secret.export({ format: 'jwk' })];
      }
      const { privateKey, publicKey } = name.startsWith('ES')
        ? crypto.generateKeyPairSync('ec', { namedCurve: curves[name] })
        : crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
      return [privateKey, publicKey.export({ format: 'jwk' })];
    };
    const [[key, jwk], [, other]] = [make(), make()];
    const sign = async (claims, header = {}) => jsonwebtoken.sign(claims, key, { algorithm: name, header });
    found.push(...await cases(name, jwk, sign, other));
  }
  return found;
}

function write(library, found) {
  const { version } = JSON.parse(require('node:fs').readFileSync(`node_modules/${library}/package.json`));
  const lines = found.map((each) => JSON.stringify(each)).join(',\n');
  const made = new Date().toISOString().slice(0, 10);
  writeFileSync(`${library}.json`, `{"library": "${library} ${version}", "made": "${made}", "cases": [\n${lines}\n]}\n`);
  console.log(library, version, found.length);
}

write('jose', await withJose());
write('jsonwebtoken', await withJsonwebtoken());
