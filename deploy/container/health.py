"""`fleetline health`: whether the role of this container is well, asked from within, without curl.

Servers are asked over HTTP on their own port. The others beat into a file (`Heartbeat`), and the
consumers' supervisor says how its children are. It is asked every few seconds in each container,
so it imports little: `Settings` alone would be four fifths of its cost. Containers start it as
`python -m deploy.container.health`.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from common.processes import process
from common.processes.beat_file import beat_age_s
from common.processes.supervision.spec import State
from common.processes.supervision.state import read_state, state_file
from deploy.servers.checks import http_answers

COMMAND = "fleetline"


@dataclass(frozen=True, slots=True)
class Probed:
    """The settings that a look at a role needs, by their names; a test compares the defaults."""

    bind_host: str = "127.0.0.1"
    gateway_host: str = ""
    ingest_port: int = 8010
    fanout_port: int = 8011
    gateway_port: int = 8002
    tls_cert: str = ""
    heartbeat_timeout_s: float = 15.0
    fleetline_home: str = ".fleetline"


def read_probed(environment: Mapping[str, str]) -> Probed:
    """What the environment of a container says. Raises `ValueError` for a number that is none."""
    values = {field.name: environment.get(field.name.upper(), "") for field in fields(Probed)}
    given = {name: type(getattr(Probed(), name))(value) for name, value in values.items() if value}
    return Probed(**given)


def role_of(command_line: str) -> str:
    """The role that a command line starts: the word behind `fleetline`. Empty if there is none."""
    words = command_line.split()
    found = [i for i, word in enumerate(words[:-1]) if word.rpartition("/")[2] == COMMAND]
    return words[found[-1] + 1] if found else ""


def ailment(role: str, probed: Probed, *, live: bool) -> str:
    """Why the role is not well; empty if it is. `live`: only whether it should be started again."""
    check = CHECKS.get(role)
    if check is None:
        return f"there is no such role; these can be asked: {', '.join(sorted(CHECKS))}"
    age_s = beat_age_s()
    if role in BEATING and age_s is not None and age_s > probed.heartbeat_timeout_s:
        return f"no sign of life for {age_s:.0f} s"
    return check(probed, live)


def main(arguments: list[str]) -> int:
    """Say it of the role that is named, or else of this container's; 0 or 1."""
    names = [argument for argument in arguments if not argument.startswith("-")]
    role = names[0] if names else role_of(process.command_line(1))
    try:
        why = ailment(role, read_probed(os.environ), live="--live" in arguments)
    except ValueError as e:
        why = str(e)
    print(f"{role}: {why or 'well'}")
    return 1 if why else 0


def _ingest(probed: Probed, _live: bool) -> str:
    return _asked(probed.bind_host, probed.ingest_port, "/health/live")


def _fanout(probed: Probed, live: bool) -> str:
    path = "/health/live" if live else "/health/ready"
    return _asked(probed.bind_host, probed.fanout_port, path)


def _gateway(probed: Probed, _live: bool) -> str:
    host = probed.gateway_host or probed.bind_host
    return _asked(host, probed.gateway_port, "/health/gateway", tls=bool(probed.tls_cert))


def _consumers(probed: Probed, live: bool) -> str:
    state = read_state(state_file(Path(probed.fleetline_home), "consumers"))
    if state is None:
        return "no supervisor of consumers runs with this FLEETLINE_HOME"
    down = [child.role for child in state.children if child.state is not State.RUNNING]
    return f"{', '.join(down)}: not running" if down and not live else ""


def _beats(_probed: Probed, _live: bool) -> str:
    return ""


def _asked(host: str, port: int, path: str, *, tls: bool = False) -> str:
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound
    if http_answers(here, port, path, tls=tls):
        return ""
    return f"{path} on {here}:{port} does not answer with 200"


# What is asked of a role beside its heartbeat.
CHECKS: dict[str, Callable[[Probed, bool], str]] = {
    "ingest": _ingest,
    "fanout": _fanout,
    "gateway": _gateway,
    "consumers": _consumers,
    "insight": _beats,
    "places": _beats,
    "hooks": _beats,
    "arrivals": _beats,
    "planner": _beats,
}
# Roles whose main process beats while it makes progress. Ingest's is Granian, which does not.
BEATING = CHECKS.keys() - {"ingest"}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
