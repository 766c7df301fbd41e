"""Whether each of several databases answers, as `fleetline status` shows it."""

import asyncio

import asyncpg

from common.databases.connecting import ConnectionTerms, connect
from common.databases.seat import Seat
from common.errors import ConfigError
from common.settings import Settings
from deploy.tools.stack_database import stack_databases

TIMEOUT_S = 1.0


def read_databases(settings: Settings) -> list[dict[str, object]]:
    """Each with its number, from 1, and its state; none where there is but one, of which the
    consumers speak.
    """
    every = stack_databases(settings)
    return asyncio.run(_read(every)) if len(every) > 1 else []


async def _read(every: dict[Seat, str]) -> list[dict[str, object]]:
    states = await asyncio.gather(*(_state(seat, url) for seat, url in every.items()))
    return [
        {"database": seat.number + 1, "state": state}
        for seat, state in zip(every, states, strict=True)
    ]


async def _state(seat: Seat, url: str) -> str:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            connection = await connect(
                url, ConnectionTerms("fleetline-status", TIMEOUT_S, seat=seat)
            )
            connection.terminate()
    except ConfigError as e:
        return f"refused: {e}"
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError):
        return "down"
    return "up"
