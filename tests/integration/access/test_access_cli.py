"""`fleetline token` and `fleetline key`, as a person uses them."""

import asyncio
import json
import re
import time
from pathlib import Path

import jwt
import pytest

from common.access.gate import Gate
from common.access.signing import Signing
from common.access.watch import USES_EVERY_S, AccessWatch
from common.settings import load_settings
from deploy.tools.access.tokens import auth_overrides, first_tokens_text
from tests.access import SECRET, bearer
from tests.clients.opened import opened
from tests.servers.redis_cluster import AnyRedis
from tests.stack import fleetline


def run(server: AnyRedis, *arguments: str, status: int = 0) -> str:
    extra = {"REDIS_URL": server.url, "AUTH_SECRET": SECRET}
    result = fleetline(*arguments, extra=extra)
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    return str(result.stderr if status else result.stdout).strip()


def test_a_token_is_all_of_standard_output(redis_server: AnyRedis) -> None:
    text = run(redis_server, "token", "create", "--role", "driver", "--subject", "d1")
    found = jwt.decode(text, SECRET, algorithms=["HS256"], audience="fleetline")
    assert (found["role"], found["sub"]) == ("driver", "d1")
    assert found["exp"] - time.time() == pytest.approx(30 * 86_400, abs=60)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("token", "create", "--role", "driver", "--subject", "a b"), "--subject"),
        (("token", "create", "--role", "driver", "--subject", "d", "--ttl", "2y"), "--ttl"),
        (("token", "create", "--role", "driver", "--subject", "d", "--ttl", "900d"), "--ttl"),
        (("token", "revoke"), "--id or --subject"),
        (("key", "create", "--name", "x", "--role", "tracker"), "--role"),
        (("key", "create", "--name", "x", "--role", "driver"), "--driver"),
        (("key", "create", "--name", "x", "--driver", "d1"), "--driver"),
        (("key", "create", "--name", "a\nb"), "--name"),
    ],
)
def test_a_wrong_option_is_one_line(
    redis_server: AnyRedis, arguments: tuple[str, ...], word: str
) -> None:
    line = run(redis_server, *arguments, status=2)
    assert word in line
    assert "\n" not in line


@pytest.mark.cluster_too
def test_a_key_is_shown_once_and_its_use_is_noted(redis_server: AnyRedis) -> None:
    key = run(redis_server, "key", "create", "--name", "shop")
    key_id = key.split("_")[1]

    async def use() -> None:
        gate = Gate(Signing([SECRET], [], "fleetline"), 10)
        async with opened(redis_server.url) as nodes:
            watch = AccessWatch(nodes, gate)
            await watch.poll()
            gate.authenticate(bearer(key)["Authorization"])
            watch._uses_written_at -= USES_EVERY_S
            await watch.poll()

    [row] = json.loads(run(redis_server, "key", "list", "--json"))["keys"]
    assert (row["id"], row["name"], row["last_used_at"]) == (key_id, "shop", None)
    asyncio.run(use())
    listed = run(redis_server, "key", "list", "--json")
    assert json.loads(listed)["keys"][0]["last_used_at"]
    assert key[-20:] not in listed
    # What is kept cannot be turned back into the key.
    kept = redis_server.command("HGETALL", "fleetline:{access}:keys")
    assert key[-20:].encode() not in kept
    assert run(redis_server, "key", "revoke", key_id) == f"revoked key {key_id}"
    assert "there is no key" in run(redis_server, "key", "revoke", key_id, status=1)
    assert run(redis_server, "key", "list") == "no keys"


@pytest.mark.parametrize("terminal", [True, False])
def test_first_tokens_are_shown_to_a_person_and_written_nowhere(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    # What broke: a journal kept an operator's token of a week, a new one from each start.
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    settings = load_settings(auth="on", auth_secret=SECRET)
    text = "\n".join(first_tokens_text(settings, "http://127.0.0.1:8002"))
    tokens = re.findall(r"eyJ[^ '\n]+", text)
    assert len(tokens) == (2 if terminal else 0)
    assert "fleetline token create" in text
    for token in tokens:
        found = jwt.decode(token, SECRET, algorithms=["HS256"], audience="fleetline")
        assert found["exp"] - time.time() <= 86_400


def test_the_home_keeps_one_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTH_SECRET", raising=False)
    made = auth_overrides(tmp_path)
    assert made["auth"] == "on"
    file = tmp_path / "auth.secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert auth_overrides(tmp_path) == made
    # Rotation: a line above the others.
    file.write_text(f"{SECRET}\n{made['auth_secret']}\n")
    assert auth_overrides(tmp_path)["auth_secret"] == f"{SECRET},{made['auth_secret']}"
    monkeypatch.setenv("AUTH_SECRET", SECRET)
    assert auth_overrides(tmp_path) == {"auth": "on"}
