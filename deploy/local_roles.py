"""The roles of `fleetline up` as children: what they run as, are told, and how they are asked."""

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from common.access.policy import Role
from common.processes.supervision.spec import ChildSpec, State
from common.processes.supervision.state import ROLES_FOLDER, read_state, state_file
from common.roads.urls import VEHICLES
from common.settings import Settings
from deploy.local_forks import ARGV, PRELOADED, RoleForks
from deploy.servers.checks import fetch_json, http_answers, listens
from deploy.servers.privileges import Descent, descent, python_paths
from deploy.stack import folders
from deploy.stack.accounts import account_of
from deploy.stack.environment import USED, role_environment
from deploy.stack.home import Home
from deploy.stack.wiring import (
    STOP_SHARES,
    local_gateway_host,
    local_host,
    reached_at,
    role_metrics_port,
)
from deploy.tools.access.tokens import new_token

# File of the home with what the secrets of webhooks are computed with.
WEBHOOK_SECRET = "webhook.secret"  # noqa: S105 - a name
# The demo ends with its stack; this is only longer.
DEMO_TOKEN_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Roles:
    """What all roles of a stack have in common. `stores`: REDIS_URL and DATABASE_URL."""

    home: Home
    settings: Settings
    stores: Mapping[str, str]
    # Where they work, and the supervisors among them write of their children.
    folder: Path
    become: Descent | None
    forks: RoleForks

    @classmethod
    def prepare(cls, home: Home, settings: Settings, forks: RoleForks) -> "Roles":
        """Make their folder, and find out how they become who they are. Raises `ConfigError`."""
        account = account_of("roles")
        folder = folders.make_folder(home.folder("run") / ROLES_FOLDER, 0o700, account)
        home.show_pids(f"consumer-{shard}" for shard in range(settings.shards))
        home.show_pids(f"roads-{vehicle}" for vehicle in VEHICLES)
        keys = [Path(settings.auth_jwks)] if settings.auth_jwks else []
        become = descent(account, home.path, *python_paths(), *keys)
        return cls(home, settings, {}, folder, become, forks)

    def preloaded(self) -> ChildSpec:
        """What has loaded the others, and forks them."""
        return replace(
            self._spec(PRELOADED),
            argv=ARGV,
            fork=None,
            pid_file=None,
            ready=self.forks.is_ready,
            heartbeat_timeout_s=self.settings.heartbeat_timeout_s,
            stop_timeout_s=1.0,
        )

    def migrate(self) -> ChildSpec:
        """The schema. It ends by itself, and speaks to the person who waits for it."""
        # Live positions need no database, so one of several may be away.
        options = ("--go-on",) if len(self.settings.databases) > 1 else ()
        return replace(self._spec("migrate", *options), once=True, log_file=None)

    def demo(self, drivers: int) -> ChildSpec:
        """Drivers that move, straight to ingest: the door's certificate may be ours alone."""
        url = f"http://{local_host(self.settings)}:{self.settings.ingest_port}"
        arguments = ["--drivers", str(drivers), "--rate", str(drivers), "--url", url]
        if self.settings.orders == "registered":
            arguments.append("--register-orders")
        more = {}
        if self.settings.auth == "on":
            token, _ = new_token(self.settings, Role.GATEWAY, "up-demo", DEMO_TOKEN_S)
            # Not an argument: those are for everybody on this machine to see.
            more["FLEETLINE_TOKEN"] = token
        return self._spec("simulate", *arguments, **more)

    def role(self, name: str, **more: str) -> ChildSpec:
        """A role: how it is asked whether it works, and how long it may drain."""
        host = local_host(self.settings)
        checks: dict[str, Callable[[], bool]] = {
            "ingest": lambda: http_answers(host, self.settings.ingest_port, "/health/live"),
            "fanout": lambda: http_answers(host, self.settings.fanout_port, "/health/ready"),
            "consumers": lambda: _consumers_run(self.home),
            "planner": lambda: listens(
                reached_at(self.settings.planner_host), self.settings.planner_port
            ),
        }
        more["METRICS_PORT"] = str(role_metrics_port(self.settings, name))
        share_s = self.settings.drain_timeout_s * STOP_SHARES[name]
        # A role gives up a little before it is killed, so that it ends its own way.
        more["DRAIN_TIMEOUT_S"] = f"{share_s * 0.85:g}"
        if "webhook_secret" in USED[name] and not self.settings.webhook_secret:
            more["WEBHOOK_SECRET"] = self.home.secret(WEBHOOK_SECRET)
        return replace(
            self._spec(name, **more),
            # A follower that only just runs is behind, and nobody waits for it.
            ready=checks.get(name),
            # The two servers of customers may not beat; the supervisor of the consumers does.
            heartbeat_timeout_s=self.settings.heartbeat_timeout_s,
            beats_from_start=name
            in {"arrivals", "consumers", "hooks", "insight", "places", "planner", "roads"},
            stop_timeout_s=share_s,
        )

    def _spec(self, name: str, *arguments: str, **more: str) -> ChildSpec:
        environment = role_environment(
            name, self.settings, os.environ, stores=self.stores, home=self.home.path
        )
        return ChildSpec(
            name=name,
            argv=(sys.executable, "-m", "deploy.cli", name, *arguments),
            env=environment | more,
            inherits_env=False,
            cwd=self.folder,
            log_file=self.home.log(name),
            pid_file=self.home.pid(name),
            become=self.become,
            fork=self.forks.fork,
        )


def _consumers_run(home: Home) -> bool:
    state = read_state(state_file(home.path, "consumers"))
    return state is not None and all(c.state is State.RUNNING for c in state.children)


def stack_works(settings: Settings, roles: Collection[str], *, gateway: bool) -> bool:
    """The last question before `ready`: does a fix find its whole way."""
    if "ingest" not in roles:
        return True
    health = fetch_json(local_host(settings), settings.ingest_port, "/health")
    if health is None:
        return False
    if "consumers" in roles:
        shards = health.get("shards")
        # Closed, it tells a stranger only whether all is well, which we want anyway.
        running = isinstance(shards, list) and all(s.get("consumer") == "up" for s in shards)
        if not running and not (settings.auth == "on" and health.get("status") == "ok"):
            return False
    return not gateway or http_answers(
        local_gateway_host(settings), settings.gateway_port, "/health", tls=bool(settings.tls_cert)
    )
