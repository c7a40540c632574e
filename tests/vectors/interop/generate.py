"""Tokens of PyJWT and of joserfc, with keys made for them and thrown away. Writes one file for each.

    pip install pyjwt cryptography joserfc && python3 generate.py
"""

import importlib.metadata
import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, ed448, rsa
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.jws import JWSRegistry

ISSUER = "https://issuer.interop.test/"
NOW = 1700000000
CLAIMS = {"iss": ISSUER, "aud": "orders-api", "sub": "älice", "iat": NOW, "exp": 4102444800,
          "scope": "orders.read", "nested": {"roles": ["a", "b"], "level": 3, "ok": True}}


def changed(token):
    """The same token with another payload."""
    header, payload, signature = token.split(".")
    other = jwt.utils.base64url_encode(json.dumps({**CLAIMS, "sub": "mallory"}).encode()).decode()
    return ".".join([header, other, signature])


def cut(token):
    """The same token with a bit of the signature turned."""
    signed, signature = token.rsplit(".", 1)
    raw = bytearray(jwt.utils.base64url_decode(signature))
    raw[len(raw) // 2] ^= 4
    return signed + "." + jwt.utils.base64url_encode(bytes(raw)).decode()


def cases(name, key, sign, other):
    """Good and bad tokens of one algorithm. `sign` takes claims and more header members."""
    good = sign(CLAIMS)
    yield name, "valid", key, good
    yield name + " with a kid and a type", "valid", key, sign(CLAIMS, {"kid": "k1", "typ": "at+jwt"})
    yield name + " for several", "valid", key, sign({**CLAIMS, "aud": ["stock-api", "orders-api"]})
    yield name + " expired", "invalid", key, sign({**CLAIMS, "exp": NOW + 60})
    yield name + " not yet valid", "invalid", key, sign({**CLAIMS, "nbf": 4102444700})
    yield name + " for somebody else", "invalid", key, sign({**CLAIMS, "aud": "stock-api"})
    yield name + " of somebody else", "invalid", key, sign({**CLAIMS, "iss": "https://other.test/"})
    yield name + " with another payload", "invalid", key, changed(good)
    yield name + " with another signature", "invalid", key, cut(good)
    yield name + " under another key", "invalid", other, good


def private(algorithm):
    if algorithm[:2] in ("RS", "PS"):
        return rsa.generate_private_key(65537, 2048)
    curves = {"ES256": ec.SECP256R1, "ES256K": ec.SECP256K1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1,
              "ES521": ec.SECP521R1}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm]())
    return ed448.Ed448PrivateKey.generate() if algorithm == "Ed448" else ed25519.Ed25519PrivateKey.generate()


def pyjwt():
    for name, algorithm in sorted(jwt.algorithms.get_default_algorithms().items()):
        if name == "none":
            yield name, "invalid", {"kty": "oct", "k": "A" * 43}, jwt.encode(CLAIMS, None, algorithm="none")
            continue
        if name.startswith("HS"):
            # Twice the hash, so that the public form is the secret.
            make = lambda: ("0123456789abcdef" * 8)[: int(name[2:]) // 4] + name
            key, other = make(), make()[::-1]
            public = lambda key: algorithm.to_jwk(algorithm.prepare_key(key), as_dict=True)
        else:
            key, other = private(name), private(name)
            public = lambda key: algorithm.to_jwk(key.public_key(), as_dict=True)
        sign = lambda claims, header={}: jwt.encode(claims, key, algorithm=name, headers=header)
        yield from cases(name, public(key), sign, public(other))


def joserfc():
    names = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
             "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"]
    for name in [name for name in names if name in JWSRegistry.algorithms]:
        if name.startswith("HS"):
            key, other = [joserfc_jwk.OctKey.generate_key(int(name[2:])) for _ in "ab"]
            public = lambda key: key.as_dict(private=True)
        else:
            kind = {"R": joserfc_jwk.RSAKey, "P": joserfc_jwk.RSAKey}.get(name[0]) or (
                joserfc_jwk.OKPKey if name.startswith("Ed") else joserfc_jwk.ECKey)
            key, other = [kind.import_key(private(name)) for _ in "ab"]
            public = lambda key: key.as_dict(private=False)
        sign = lambda claims, header={}: joserfc_jwt.encode(
            {"alg": name, **header}, claims, key, algorithms=[name])
        yield from cases(name, public(key), sign, public(other))


def write(library, found):
    made = [dict(zip(("id", "says", "jwk", "token"), case)) for case in found]
    version = importlib.metadata.version(library)
    text = ",\n".join(json.dumps(case) for case in made)
    with open(library.lower() + ".json", "w") as file:
        file.write('{"library": "%s %s", "made": "%s", "cases": [\n%s\n]}\n' % (
            library, version, time.strftime("%Y-%m-%d", time.gmtime()), text))
    print(library, version, len(made))


write("PyJWT", pyjwt())
write("joserfc", joserfc())
