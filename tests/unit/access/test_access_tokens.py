"""Tokens that are not good are 401, whatever is wrong with them, and never anything else."""

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from common.access.gate import Gate, Lists, credential_of
from common.access.policy import Role
from common.access.signing import Signing, read_public_keys
from common.errors import ConfigError, Overloaded, Refused
from tests.access import OLD_SECRET, SECRET, bearer, claims, token

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

# Longer than any run of the tests: these tokens are made before the first.
DAY_S = 86_400


def jwk(algorithm, key, kid):
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


@pytest.fixture(scope="module")
def jwks(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys = [jwk(RSAAlgorithm, RSA, "r"), jwk(ECAlgorithm, EC, "e"), jwk(OKPAlgorithm, ED, "o")]
    file.write_text(json.dumps({"keys": keys}))
    return file


@pytest.fixture(scope="module")
def gate(jwks):
    found = Gate(Signing([SECRET, OLD_SECRET], read_public_keys(jwks), "fleetline"), 100)
    found.replace(Lists())
    return found


def b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def confused():
    """An HS256 token whose "secret" is the provider's public key, made by hand."""
    import hashlib
    import hmac

    head = f"{b64({'alg': 'HS256', 'typ': 'JWT'})}.{b64(claims())}"
    mac = hmac.new(RSA_PEM, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


GOOD = token()
BAD = {
    "empty": "",
    "no token": "nonsense",
    "another secret": jwt.encode(claims(), "x" * 32, algorithm="HS256"),
    "expired": token(exp=int(time.time()) - 1),
    "no expiry": token(exp=None),
    "expiry is text": token(exp="soon"),
    "expiry is endless": token(exp=float("inf")),
    "expiry is huge": token(exp=10**400),
    "not yet": token(nbf=int(time.time()) + DAY_S),
    "another audience": token(aud="others"),
    "no audience": token(aud=None),
    "no role": token(role=""),
    "odd role": token(role="root"),
    "no subject": token(sub=None),
    "odd driver": token(driver_id="../d1"),
    "alg none": jwt.encode(claims(), "", algorithm="none"),
    "alg none by hand": f"{b64({'alg': 'none'})}.{b64(claims())}.",
    "alg None": f"{b64({'alg': None})}.{b64(claims())}.AAAA",
    "alg is a list": f"{b64({'alg': ['HS256']})}.{b64(claims())}.AAAA",
    "kid is a dict": f"{b64({'alg': 'RS256', 'kid': {}})}.{b64(claims())}.AAAA",
    "public key as secret": confused(),
    "another rsa key": jwt.encode(
        claims(), rsa.generate_private_key(65537, 2048), algorithm="RS256"
    ),
    "a stronger hash": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
    "truncated": GOOD[:-5],
    "no signature": GOOD.rpartition(".")[0] + ".",
    "two parts": GOOD.rpartition(".")[0],
    "claims are a list": f"{b64({'alg': 'HS256'})}.{b64([1])}.AAAA",
    "nested": f"{b64({'alg': 'HS256'})}.{'[' * 3000}.AAAA",
    "oversized": token(sub="d1", more="x" * 10_000),
    "not ascii": "é.é.é",
    "nul": "\0.\0.\0",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_unknown(gate, name):
    with pytest.raises(Refused) as refused:
        gate.authenticate(f"Bearer {BAD[name]}")
    assert refused.value.status == 401
    assert dict(refused.value.headers) == {"www-authenticate": "Bearer"}
    assert str(refused.value) == "a valid token or key is needed"


@given(st.text(max_size=300))
def test_any_text_is_unknown(gate, text):
    for header in (text, f"Bearer {text}", f"Basic {text}"):
        with pytest.raises(Refused):
            gate.authenticate(header)


@given(parts=st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_any_three_parts_are_unknown(gate, parts):
    made = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    with pytest.raises(Refused):
        gate.authenticate(f"Bearer {made}")


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA, "RS256", "r"), (EC, "ES256", "e"), (ED, "EdDSA", "o"), (RSA, "RS256", None)],
)
def test_tokens_of_an_identity_provider(gate, key, algorithm, kid):
    text = jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": kid} if kid else None)
    assert gate.authenticate(f"Bearer {text}").driver_id == "d1"


def test_a_key_named_by_another_kid_is_not_tried(gate):
    text = jwt.encode(claims(), RSA, algorithm="RS256", headers={"kid": "e"})
    with pytest.raises(Refused):
        gate.authenticate(f"Bearer {text}")


def test_a_pem_file_is_a_key_too(tmp_path):
    file = tmp_path / "key.pem"
    file.write_bytes(RSA_PEM)
    assert [key.algorithm for key in read_public_keys(file)] == ["RS256"]


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", '{"keys": []}', "-----BEGIN PUBLIC KEY-----",
        # A shared secret in a file of public keys is what key confusion starts from.
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}',
        '{"keys": [{"kty": "RSA"}]}', '{"keys": 5}', "[]",
    ],
)  # fmt: skip
def test_a_wrong_key_file_is_one_line(tmp_path, text):
    file = tmp_path / "jwks.json"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_public_keys(file)
    assert str(refused.value).startswith("AUTH_JWKS: ")


def test_older_secrets_verify_and_the_newest_signs(gate):
    older = jwt.encode(claims(), OLD_SECRET, algorithm="HS256")
    assert gate.authenticate(f"Bearer {older}").role is Role.DRIVER
    signed = gate.signing.sign(claims())
    assert jwt.decode(signed, SECRET, algorithms=["HS256"], audience="fleetline")


def test_what_is_remembered_is_bounded_and_forgotten_when_revoked():
    gate = Gate(Signing([SECRET], [], "fleetline"), 10)
    gate.replace(Lists())
    headers = [bearer(token(jti=f"t{n}"))["Authorization"] for n in range(30)]
    for header in headers:
        assert gate.authenticate(header) is gate.authenticate(header)
    assert gate.size[0] == 10
    gate.replace(Lists(revoked={"jti:t29": time.time()}))
    with pytest.raises(Refused):
        gate.authenticate(headers[29])
    assert gate.authenticate(headers[28]).token_id == "t28"


def spellings(text):
    """One token in headers that differ: all of them were remembered, at 16 KB each."""
    yield f"Bearer {text}"
    for scheme in ("bearer", "BEARER", "bEARER"):
        yield f"{scheme} {text}"
    for blanks in (1, 2, 15_000):
        yield f"Bearer {' ' * blanks}{text}"
        yield f"Bearer {text}{' ' * blanks}"
    for user in ("", "a", "phone", "fleet:7"):
        yield "Basic " + base64.b64encode(f"{user}:{text}".encode()).decode()


def test_one_token_is_remembered_once_however_it_is_spelled():
    gate = Gate(Signing([SECRET], [], "fleetline"), 1000)
    gate.replace(Lists())
    text = token()
    principals = [gate.authenticate(header) for header in spellings(text)]
    assert all(principal is principals[0] for principal in principals)
    count, size = gate.size
    assert (count, size < 2000) == (1, True)


def test_junk_in_a_signature_makes_no_other_token(gate):
    """base64 decoders skip what is no base64, so a token could be spelled in endless ways."""
    text = token()
    for junk in ("!", "=", "====", "%", " x", "\n"):
        with pytest.raises(Refused):
            gate.authenticate(f"Bearer {text[:-5]}{junk}{text[-5:]}")


def test_what_is_remembered_is_bounded_in_bytes():
    gate = Gate(Signing([SECRET], [], "fleetline"), 1000, known_bytes_max=20_000)
    gate.replace(Lists())
    for n in range(60):
        gate.authenticate(bearer(token(jti=f"t{n}", more="x" * 1000))["Authorization"])
        assert gate.size[1] <= 20_000
    assert 5 <= gate.size[0] < 20
    gate.replace(Lists(revoked={"sub:d1": time.time() + 1}))
    assert gate.size == (0, 0)


def test_of_several_keys_a_token_must_name_its_own(tmp_path):
    """A token without `kid` cost a verification by every key before it was refused."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    file = tmp_path / "jwks.json"

    def read(*kids):
        made = [jwk(jwt.algorithms.RSAAlgorithm, keys[n], kid) for n, kid in enumerate(kids)]
        file.write_text(json.dumps({"keys": made}))
        gate = Gate(Signing([SECRET], read_public_keys(file), "fleetline"), 10)
        gate.replace(Lists())
        return gate

    def signed(number, kid):
        headers = {"kid": kid} if kid else None
        return f"Bearer {jwt.encode(claims(), keys[number], algorithm='RS256', headers=headers)}"

    both = read("a", "b")
    assert both.authenticate(signed(1, "b")).driver_id == "d1"
    for number, kid in ((0, None), (1, None), (0, "b"), (1, "c")):
        with pytest.raises(Refused):
            both.authenticate(signed(number, kid))
    assert read("a").authenticate(signed(0, None)).driver_id == "d1"
    for kids in (("a", "a"), ("a", None)):
        with pytest.raises(ConfigError, match="kid"):
            read(*kids)


def test_a_remembered_token_is_not_verified_again_until_it_expires(monkeypatch):
    gate = Gate(Signing([SECRET], [], "fleetline"), 10)
    gate.replace(Lists())
    header = bearer(token(exp=int(time.time()) + 600))["Authorization"]
    gate.authenticate(header)
    gate.signing = Signing([OLD_SECRET], [], "fleetline")
    assert gate.authenticate(header).driver_id == "d1"
    later = time.time() + 601
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Refused):
        gate.authenticate(header)


def test_nobody_gets_in_before_the_revocations_are_known():
    gate = Gate(Signing([SECRET], [], "fleetline"), 10)
    with pytest.raises(Overloaded):
        gate.authenticate(bearer(token())["Authorization"])


def test_basic_carries_the_token_as_its_password():
    # A driver's id may hold colons.
    for user in ("phone", "", "fleet:7"):
        text = base64.b64encode(f"{user}:abc".encode()).decode()
        assert credential_of(f"basic {text}") == "abc"
    assert credential_of("bearer  abc ") == "abc"
