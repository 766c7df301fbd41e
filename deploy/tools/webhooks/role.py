"""`fleetline hooks`: the role that sends webhooks."""

from common import log
from common.processes import process
from common.settings import load_settings


def hooks() -> None:
    """Run the sender of webhooks: events out to other servers."""
    process.die_with_parent()
    from consumers.hooks.serve import run

    settings = load_settings()
    log.configure("hooks", settings.log_level)
    run(settings)
