"""`fleetline databases split`."""

import asyncio
from typing import Annotated

import typer

app = typer.Typer(
    help="Several databases (DATABASE_URLS): make more of them.", no_args_is_help=True
)


@app.callback()
def databases() -> None:
    """Several databases (DATABASE_URLS): make more of them."""


@app.command()
def split(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the rows; without it, only look.")
    ] = False,
) -> None:
    """Leave in each of DATABASE_URLS, which are copies, the drivers that are its own."""
    from common.settings import load_settings
    from deploy.tools.databases.split import split_all

    asyncio.run(split_all(load_settings().databases, typer.echo, remove=yes))
