"""`fleetline gateway`: the front door alone, for a stack whose parts run in containers or on hosts.

The same configuration and pages as in `fleetline up`, made anew at each start.
"""

import os
import secrets
from dataclasses import replace

from common.processes.heartbeat import Heartbeat
from common.processes.supervision.state import state_file
from common.processes.supervision.supervisor import Supervisor
from common.settings import Settings, load_settings
from common.settings.files import file_variable, given_values
from deploy.servers import packages
from deploy.servers.gateway import gateway_spec
from deploy.stack.home import Home
from deploy.stack.limits import raise_file_limit


def door_settings() -> Settings:
    """Its settings. AUTH=on says that what is behind it asks for tokens. Raises `ConfigError`.

    The door itself reads none, so it needs no secret, and has better none: it talks to everybody.
    """
    given = given_values()
    if any(given.get(name) for name in ("AUTH_SECRET", file_variable("auth_secret"))):
        return load_settings()
    return load_settings(auth_secret=secrets.token_hex(32))


def run(settings: Settings) -> int:
    """Serve until a stop signal; the exit status. Raises `ConfigError`."""
    packages.require("gateway")
    os.umask(0o077)
    home = Home(settings.fleetline_home)
    # Two in one home would write over each other.
    home.lock()
    try:
        raise_file_limit()
        # Its lines go where ours go: whoever runs containers keeps their output.
        spec = replace(gateway_spec(home, settings), log_file=None)
        with Supervisor(
            "gateway",
            drain_timeout_s=settings.drain_timeout_s,
            state_file=state_file(home.path, "gateway"),
            heartbeat=Heartbeat.from_env(),
        ) as supervisor:
            supervisor.spawn(spec)
            return supervisor.run()
    finally:
        home.unlock()
