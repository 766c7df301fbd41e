"""The option `--home` of the commands that work on a stack of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from common.settings import Settings

HomeOption = Annotated[Path | None, typer.Option(help="Home of the stack [.fleetline].")]


def settings_of(home: Path | None) -> "Settings":
    """The settings, with the home that was named, if one was. Raises `ConfigError`."""
    # Not needed to show what `--help` says, and a good part of its time.
    from common.settings import load_settings

    return load_settings(**({} if home is None else {"fleetline_home": home}))
