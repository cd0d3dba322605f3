"""Access tokens as a standard JWT library sees them (PyJWT, with the keys of /auth/.well-known/jwks.json), and forged ones.

    tokens.py URL TOKEN PRIVATE-KEY-FILE

The token must be accepted, by the library and by every service. Every forgery must be refused by both: by the library when it asks
for what RFC 9068 section 4 asks for, and by the services with 401. Says what was refused, one line each; ends with status 1 on the first
that was not.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.request

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

url, token, key_file = sys.argv[1:]
PATHS = ["/auth/me", "/feed", "/recommendations", "/admin/stats"]

with open(key_file, "rb") as file:
    key = serialization.load_pem_private_key(file.read(), None)
public_pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
header = jwt.get_unverified_header(token)
claims = jwt.decode(token, options={"verify_signature": False})
published = jwt.PyJWKClient(f"{url}/auth/.well-known/jwks.json")


def base64url(data):
    if not isinstance(data, bytes):
        data = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header, claims, by=None):
    """With a signature that fits: by another key than the stack's if one is given."""
    body = f"{base64url(header)}.{base64url(claims)}"
    return f"{body}.{base64url(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(body.encode(), by or key))}"


def with_hmac(header, claims, secret):
    body = f"{base64url(header)}.{base64url(claims)}"
    return f"{body}.{base64url(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


def library_accepts(text):
    try:
        if jwt.get_unverified_header(text).get("typ") != "at+jwt":
            return False
        known = published.get_signing_key_from_jwt(text)
        jwt.decode(
            text, known.key, algorithms=["ES256"], audience="chatty", issuer=claims["iss"],
            options={"require": ["exp", "iat", "iss", "aud", "sub", "jti", "sid"]})
        return True
    except (jwt.PyJWTError, ValueError):
        return False


def status(path, text):
    # The text's bytes in UTF-8, as a string that urllib sends as they are.
    credentials = f"Bearer {text}".encode().decode("latin-1")
    request = urllib.request.Request(url + path, headers={"Authorization": credentials})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def forgeries():
    other = ec.generate_private_key(ec.SECP256R1())
    numbers = other.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": base64url(numbers.x.to_bytes(32, "big")), "y": base64url(numbers.y.to_bytes(32, "big"))}
    now = int(time.time())
    for none in ["none", "None", "NONE", "nOnE"]:
        yield f"alg {none} without a signature", f"{base64url(header | {'alg': none})}.{base64url(claims)}."
        yield f"alg {none} with the signature", f"{base64url(header | {'alg': none})}.{token.split('.', 1)[1]}"
    yield "alg missing", signed({k: v for k, v in header.items() if k != "alg"}, claims)
    for secret, name in [(public_pem, "the public key"), (public_pem.strip(), "the public key, trimmed"), (b"", "nothing")]:
        yield f"HS256 with {name}", with_hmac(header | {"alg": "HS256"}, claims, secret)
    for algorithm in ["ES384", "RS256", "PS256", "EdDSA", "es256", ""]:
        yield f"alg {algorithm!r}", signed(header | {"alg": algorithm}, claims)
    yield "another key under our kid", signed(header, claims, by=other)
    yield "an unknown kid", signed(header | {"kid": "unknown"}, claims, by=other)
    yield "no kid", signed({k: v for k, v in header.items() if k != "kid"}, claims)
    yield "a path as kid", signed(header | {"kid": "../../../dev/null"}, claims, by=other)
    yield "a key in the header (jwk)", signed(header | {"jwk": jwk}, claims, by=other)
    yield "a key's address in the header (jku)", signed(header | {"jku": "http://127.0.0.1:9/jwks.json"}, claims, by=other)
    yield "a certificate's address in the header (x5u)", signed(header | {"x5u": "http://127.0.0.1:9/cert.pem"}, claims, by=other)
    for typ in ["JWT", "at+JWT2", "", None]:
        yield f"typ {typ!r}", signed(header | {"typ": typ}, claims)
    yield "another issuer", signed(header, claims | {"iss": "https://evil.example"})
    yield "no issuer", signed(header, {k: v for k, v in claims.items() if k != "iss"})
    yield "another audience", signed(header, claims | {"aud": "another"})
    yield "no audience", signed(header, {k: v for k, v in claims.items() if k != "aud"})
    yield "expired", signed(header, claims | {"iat": now - 1000, "exp": now - 100})
    yield "expired this second", signed(header, claims | {"exp": now})
    yield "without an end", signed(header, {k: v for k, v in claims.items() if k != "exp"})
    yield "from the future", signed(header, claims | {"iat": now + 3600, "exp": now + 7200})
    yield "another subject under the old signature", f"{token.split('.')[0]}.{base64url(claims | {'sub': '1'})}.{token.split('.')[2]}"
    yield "cut by a byte", token[:-1]
    yield "cut in the claims", token[: len(token) // 2]
    yield "without a signature", token.rsplit(".", 1)[0] + "."
    yield "in two parts", token.rsplit(".", 1)[0]
    yield "doubled", token + token
    yield "doubled with a dot", f"{token}.{token}"
    yield "with a fourth part", f"{token}.x"
    yield "zeros for a signature", token.rsplit(".", 1)[0] + "." + base64url(bytes(64))
    der = key.sign(".".join(token.split(".")[:2]).encode(), ec.ECDSA(hashes.SHA256()))
    yield "a signature in DER", token.rsplit(".", 1)[0] + "." + base64url(der)


def other_spellings():
    """The same bytes written otherwise: libraries may be lenient about that, our services are not."""
    yield "padded", token + "="
    yield "with a blank in it", token.replace(".", " .", 1)


def twins():
    """Two texts that are the same to whoever compares them by their meaning, a token and another: the Kelvin sign is a K."""
    text = token
    while "K" not in text:
        text = signed(header, claims)
    return text, text.replace("K", "\N{KELVIN SIGN}", 1)


def main():
    if not library_accepts(token):
        sys.exit("the library does not accept the token")
    if not library_accepts(signed(header, claims)):
        sys.exit("the library does not accept a copy signed by this script: its forgeries would prove nothing")
    for path in PATHS:
        if status(path, token) not in (200, 403) or status(path, signed(header, claims)) not in (200, 403):
            sys.exit(f"{path} does not accept the token, or a copy of it")
    count = 0
    for name, text in forgeries():
        if library_accepts(text):
            sys.exit(f"the library accepts: {name}")
        for path in PATHS:
            got = status(path, text)
            if got != 401:
                sys.exit(f"{path} answers {got} to: {name}")
        print(f"refused: {name}")
        count += 1
    for name, text in other_spellings():
        for path in PATHS:
            if status(path, text) != 401:
                sys.exit(f"{path} accepts the token {name}")
    known, twin = twins()
    for path in PATHS:
        # Until every worker remembers the one.
        if any(status(path, known) == 401 for _ in range(20)) or any(status(path, twin) != 401 for _ in range(20)):
            sys.exit(f"{path} takes another text for a token that it has accepted")
    print(f"{count} forgeries refused")


main()
