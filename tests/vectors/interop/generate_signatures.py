"""Message signatures of http-message-signatures, by the keys of tests/keys. Writes one file.

    pip install http-message-signatures cryptography && python3 generate_signatures.py
"""

import base64
import hashlib
import importlib.metadata
import json
from datetime import datetime, timezone
from pathlib import Path

import requests
from cryptography.hazmat.primitives import serialization
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

KEYS = Path(__file__).parents[2] / "keys"
CREATED = 1700000000
COVERED = ("@method", "@authority", "@target-uri", "@path", "@query", "content-type", "content-digest")


class Keys(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id):
        if key_id == "hmac":
            return (KEYS / "hmac.txt").read_bytes()
        return serialization.load_pem_private_key((KEYS / f"{key_id}.pem").read_bytes(), None)


def number(value, size):
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


def jwk(key):
    if key == "hmac":
        return None
    public = Keys().resolve_private_key(key).public_key()
    if key == "ed25519":
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": number(int.from_bytes(raw, "big"), 32)}
    numbers = public.public_numbers()
    if key == "rsa":
        return {"kty": "RSA", "e": "AQAB", "n": number(numbers.n, 256)}
    size = numbers.curve.key_size // 8
    return {"kty": "EC", "crv": f"P-{numbers.curve.key_size}", "x": number(numbers.x, size), "y": number(numbers.y, size)}


def at(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc)


def signed(name, algorithm, key):
    body = json.dumps({"by": name}).encode()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    fields = {"Content-Type": "application/json", "Content-Digest": f"sha-256=:{digest}:"}
    request = requests.Request("POST", "https://shop.example.com/orders/7?dry=1&note=a%20b+c", data=body, headers=fields)
    request = request.prepare()
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=Keys())
    signer.sign(request, key_id=key, created=at(CREATED), expires=at(CREATED + 60), nonce=f"n-{key}",
                covered_component_ids=COVERED, label="sig1", use_existing_digest=True)
    return {"algorithm": name, "key": key, "jwk": jwk(key), "body": body.decode(),
            "content_digest": request.headers["Content-Digest"],
            "signature_input": request.headers["Signature-Input"],
            "signature": request.headers["Signature"]}


messages = [
    signed("hmac-sha256", algorithms.HMAC_SHA256, "hmac"),
    signed("ed25519", algorithms.ED25519, "ed25519"),
    signed("ecdsa-p256-sha256", algorithms.ECDSA_P256_SHA256, "p256"),
    signed("ecdsa-p384-sha384", algorithms.ECDSA_P384_SHA384, "p384"),
    signed("rsa-pss-sha512", algorithms.RSA_PSS_SHA512, "rsa"),
    signed("rsa-v1_5-sha256", algorithms.RSA_V1_5_SHA256, "rsa"),
]
made = {"by": f"http-message-signatures {importlib.metadata.version('http-message-signatures')}", "messages": messages}
Path(__file__).with_name("http-message-signatures.json").write_text(json.dumps(made, indent=2) + "\n")
