"""Key sets and tokens, made by PyJWT and cryptography."""
import json
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ec_key = ec.generate_private_key(ec.SECP256R1())
ed_key = ed25519.Ed25519PrivateKey.generate()


def public(algorithm, key, kid):
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


now = int(time.time())
good = {"iss": "https://login.example", "aud": "mediamill", "exp": now + 600, "sub": "maria", "roles": ["lead"]}
pem = rsa_key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(key, algorithm, kid, **claims):
    return jwt.encode({**good, **claims}, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def forged():
    """HS256 with the public key as secret, which PyJWT itself refuses to make."""
    import base64
    import hashlib
    import hmac

    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    signed = part({"alg": "HS256", "typ": "JWT", "kid": "r1"}) + b"." + part(good)
    mac = base64.urlsafe_b64encode(hmac.new(pem, signed, hashlib.sha256).digest()).rstrip(b"=")
    return (signed + b"." + mac).decode()


print(json.dumps({
    "sets": [{"keys": [public(RSAAlgorithm, rsa_key, "r1"), public(ECAlgorithm, ec_key, "e1"),
                       public(OKPAlgorithm, ed_key, "d1"), {"kty": "unknown", "kid": "x"}]}],
    "tokens": {
        "rs256": token(rsa_key, "RS256", "r1"),
        "ps256": token(rsa_key, "PS256", "r1"),
        "es256": token(ec_key, "ES256", "e1"),
        "eddsa": token(ed_key, "EdDSA", "d1"),
        "hs256-with-public-key": forged(),
        "other-key": token(other, "RS256", "r1"),
        "unknown-kid": token(rsa_key, "RS256", "r9"),
        "no-kid": token(other, "RS256", None),
        "wrong-issuer": token(rsa_key, "RS256", "r1", iss="https://evil.example"),
        "wrong-audience": token(rsa_key, "RS256", "r1", aud="another"),
        "expired": token(rsa_key, "RS256", "r1", exp=now - 600),
        "not-yet": token(rsa_key, "RS256", "r1", nbf=now + 600),
        "none": jwt.encode(good, None, algorithm="none", headers={"kid": "r1"}),
    },
}))
