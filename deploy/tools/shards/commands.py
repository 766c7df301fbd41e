"""`fleetline reshard`: what stands on the command line."""

from typing import Annotated

import typer

from common.errors import ConfigError
from deploy.stack.home_option import HomeOption, settings_of

# As SHARDS.
SHARDS_MAX = 1024


def reshard(
    *,
    shards: Annotated[
        int | None,
        typer.Option(min=1, max=SHARDS_MAX, help="How many there are to be; any number."),
    ] = None,
    abort: Annotated[
        bool, typer.Option("--abort", help="Take a change back, before fixes go to the new shards.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what there is and what would be done, only.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Change the number of shards of a running system, without loss and without a stop.

    It shows how far it is, and lasts a little longer than LOCATION_TTL: that long, positions of
    drivers who do not move are read where they were. Nothing waits for this command but its last
    step: stopped or killed anywhere, run it again with the same number, and it goes on.

    Afterwards the number is kept in Redis; SHARDS is only what an empty one begins with. Every
    ingest and every host of consumers must be of a release that has this command.

    Examples: `fleetline reshard --shards 16` · `fleetline reshard --shards 16 --dry-run` ·
    `fleetline reshard --abort`
    """
    from deploy.tools.shards.outlook import outlook
    from deploy.tools.shards.reshard import Resharding
    from deploy.tools.shards.view import StageView
    from deploy.tools.stack_redis import stack_redis

    if abort == (shards is not None) or (abort and dry_run):
        raise ConfigError("reshard takes --shards N (and --dry-run), or --abort")
    settings = settings_of(home)
    with stack_redis(settings, decode=False) as client:
        if shards is not None and dry_run:
            for line in outlook(client, settings, shards):
                print(line)
            return
        with StageView() as view:
            change = Resharding(client, settings, view.show)
            if shards is not None:
                change.run(shards)
            else:
                change.abort()
            view.end()
