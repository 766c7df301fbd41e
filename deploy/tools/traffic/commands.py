"""`fleetline replay` and `fleetline simulate`: traffic, as phones and backends would make it."""

from pathlib import Path
from typing import Annotated

import typer

from common.processes import process

Token = Annotated[
    str,
    typer.Option(envvar="FLEETLINE_TOKEN", show_envvar=True, help="Token or key of a gateway."),
]
Url = Annotated[
    str | None, typer.Option(help="Base address of the HTTP API (the stack in FLEETLINE_HOME).")
]

RegisterOrders = Annotated[
    bool,
    typer.Option("--register-orders", help="First register the drivers' orders, as a backend."),
]


def replay(
    file: Annotated[Path, typer.Argument(help="A recorded trace: CSV, GPX, or a route's export.")],
    *,
    speed: Annotated[
        float, typer.Option(min=0, help="Times its own pace; 0: as fast as accepted.")
    ] = 1.0,
    url: Url = None,
    token: Token = "",
    columns: Annotated[
        str, typer.Option(help="Column map, as in driver_id=tracker,latitude=Y,longitude=X.")
    ] = "",
    driver: Annotated[
        str, typer.Option(help="Whose it is (as the file says, or else its name).")
    ] = "",
    speed_unit: Annotated[
        str, typer.Option(help="Unit of its speeds: kmh, mps, knots or mph [GPX: mps, else kmh].")
    ] = "",
    register_orders: RegisterOrders = False,
) -> None:
    """Send a recorded trace through the HTTP API, as if it were driven now."""
    from deploy.tools.trace.read import ReadOptions
    from deploy.tools.traffic.replay import run

    options = ReadOptions(columns, driver, speed_unit)
    raise typer.Exit(
        run(
            file,
            options,
            speed=speed,
            url=url or stack_url(),
            token=token,
            register_orders=register_orders,
        )
    )


def simulate(
    *,
    drivers: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many drivers.")],
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Fixes a second, all together [one a driver].")
    ] = None,
    day: Annotated[
        bool, typer.Option("--day", help="Send a working day until now, with trips and stops.")
    ] = False,
    url: Url = None,
    token: Token = "",
    seconds: Annotated[float | None, typer.Option(min=0, help="How long (until Ctrl-C).")] = None,
    seed: Annotated[int, typer.Option(help="The same seed moves the same drivers.")] = 1,
    register_orders: RegisterOrders = False,
) -> None:
    """Let drivers with orders move and send."""
    process.die_with_parent()
    from deploy.tools.traffic import simulate_day
    from deploy.tools.traffic.simulate import run

    if day and register_orders:
        raise typer.BadParameter("--register-orders is for drivers of now, not for --day")
    if day:
        sent = simulate_day.run(drivers=drivers, url=url or stack_url(), seed=seed, token=token)
        raise typer.Exit(sent)
    raise typer.Exit(
        run(
            drivers=drivers,
            rate=rate if rate is not None else float(drivers),
            url=url or stack_url(),
            seconds=seconds,
            seed=seed,
            token=token,
            register_orders=register_orders,
        )
    )


def stack_url() -> str:
    """The stack that was last started in this home, or where one would be."""
    from common.settings import load_settings
    from deploy.stack.home import Home

    settings = load_settings()
    return Home(settings.fleetline_home).noted().get("url") or settings.front_door_url()
