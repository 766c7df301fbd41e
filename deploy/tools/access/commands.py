"""`fleetline token` and `fleetline key`: who may come in, made and ended by a person.

Secrets go to standard output and nowhere else; what is said about them goes to standard error,
so that `TOKEN=$(fleetline token create …)` is all it takes.
"""

import json
import re
import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from common.access.policy import Role
from common.errors import ConfigError, FleetlineError
from deploy.stack.home_option import HomeOption, settings_of

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

token_app = typer.Typer(help="Make and end tokens.", no_args_is_help=True)
key_app = typer.Typer(help="Make, list and end API keys of backends.", no_args_is_help=True)


@token_app.command("create")
def create_token(
    *,
    role: Annotated[Role, typer.Option(help="What its bearer is.")],
    subject: Annotated[
        str, typer.Option(help="Who: a driver's id, a tracker's order, or any name.")
    ],
    ttl: Annotated[str, typer.Option(help="How long it works: 90m, 12h, 30d.")] = "30d",
    home: HomeOption = None,
) -> None:
    """Print a new token."""
    from common.ids import ID_DETAIL, is_id
    from deploy.tools.access.tokens import new_token

    if not is_id(subject):
        raise ConfigError(f"--subject: {ID_DETAIL}")
    token, token_id = new_token(settings_of(home), role, subject, _ttl_s(ttl))
    print(token)
    print(f"id {token_id}; end it with: fleetline token revoke --id {token_id}", file=sys.stderr)


@token_app.command("revoke")
def revoke_token(
    *,
    token_id: Annotated[str | None, typer.Option("--id", help="The token's jti.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="All tokens of a subject made up to now.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """End a token, or all of a subject, everywhere within two seconds."""
    from deploy.tools.access.store import access_store

    if (token_id is None) == (subject is None):
        raise ConfigError("revoke needs --id or --subject, and not both")
    kind, name = ("jti", token_id) if token_id is not None else ("sub", subject)
    if not name or len(name) > 256:
        raise ConfigError("--id and --subject: must be 1-256 characters")
    with access_store(settings_of(home)) as store:
        store.revoke(kind, name)
    print(f"revoked {'token' if kind == 'jti' else 'all tokens of'} {name}")


@key_app.command("create")
def create_key(
    *,
    role: Annotated[Role, typer.Option(help="What its bearer is.")] = Role.GATEWAY,
    name: Annotated[str, typer.Option(help="Whose it is, for the list.")],
    driver: Annotated[str | None, typer.Option(help="A driver's key: its driver id.")] = None,
    home: HomeOption = None,
) -> None:
    """Print a new key. It is shown this once; only its hash is kept."""
    from common.access.watch import POLL_EVERY_S
    from common.ids import is_id
    from deploy.tools.access.store import access_store

    if role is Role.TRACKER:
        raise ConfigError("--role: a tracker gets a link, not a key")
    if (role is Role.DRIVER) != (driver is not None) or (driver and not is_id(driver)):
        raise ConfigError("--driver: a driver's key, and no other, needs a driver id")
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise ConfigError("--name: must be 1-64 printable characters")
    with access_store(settings_of(home)) as store:
        key_id, text = store.create_key(role, name, driver)
    # Every process looks for changes this often: the key is in force when it is printed.
    time.sleep(POLL_EVERY_S * 1.2)
    print(text)
    print(f"id {key_id}; end it with: fleetline key revoke {key_id}", file=sys.stderr)


@key_app.command("list")
def list_keys(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    home: HomeOption = None,
) -> None:
    """Show all keys: whose, since when, last used when."""
    from deploy.tools.access.store import access_store

    with access_store(settings_of(home)) as store:
        records = store.keys()
    rows = [
        {
            "id": key_id,
            "role": record.role.value,
            "name": record.name,
            "driver_id": record.driver_id,
            "created_at": _moment(record.created_at),
            "last_used_at": None if used is None else _moment(used),
        }
        for key_id, (record, used) in records.items()
    ]
    if as_json:
        print(json.dumps({"keys": rows}))
        return
    for row in rows:
        used_at = row["last_used_at"] or "never used"
        print(f"{row['id']}  {row['role']:<8}  {row['created_at']}  {used_at:<20}  {row['name']}")
    if not rows:
        print("no keys")


@key_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    *,
    home: HomeOption = None,
) -> None:
    """End a key everywhere within two seconds."""
    from deploy.tools.access.store import access_store

    with access_store(settings_of(home)) as store:
        if not store.revoke_key(key_id):
            raise FleetlineError(f"there is no key {key_id}")
    print(f"revoked key {key_id}")


def _ttl_s(text: str) -> float:
    from deploy.tools.access.store import TOKEN_TTL_MAX_S

    form = re.fullmatch(r"([0-9]{1,9})([smhd])", text, re.ASCII)
    seconds = int(form[1]) * UNITS_S[form[2]] if form else 0
    if not 1 <= seconds <= TOKEN_TTL_MAX_S:
        raise ConfigError(f"--ttl: must be like 90m, 12h or 30d, and at most 365d, not {text!r}")
    return seconds


def _moment(epoch_s: float) -> str:
    return datetime.fromtimestamp(int(epoch_s), UTC).isoformat().replace("+00:00", "Z")
