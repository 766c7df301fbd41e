"""What a database says of itself: which of how many it is. It refuses to be taken for another.

The numbers of `common.databases.placing` say where a driver's history is, so another order of
DATABASE_URLS, one more or one less, would show half of the drivers without a past and begin them
anew elsewhere. `fleetline migrate` writes it once; every connection compares.
"""

from typing import NamedTuple

import asyncpg

from common.errors import ConfigError

_SEAT = "SELECT number, databases FROM fleetline_database"


class Seat(NamedTuple):
    """A database is the `number`th of `databases`, from 0."""

    number: int
    databases: int

    def __str__(self) -> str:
        if self.number < 0:
            # See `fleetline databases split`.
            return f"one that is being split into {self.databases}"
        return f"database {self.number + 1} of {self.databases}"

    @property
    def is_home(self) -> bool:
        """Whether it holds what no driver divides."""
        return self.number == 0


ONLY = Seat(0, 1)
# For who needs home and is told of no other.
HOME = Seat(0, 0)


def seats(databases: int) -> tuple[Seat, ...]:
    """Those of so many databases."""
    return tuple(Seat(number, databases) for number in range(databases))


def require_seat(wanted: Seat, found: Seat | None) -> None:
    """Raise `ConfigError` where a database has another seat; one without takes what comes."""
    if wanted == HOME and found is not None and not found.is_home:
        raise ConfigError(f"DATABASE_URL: home is needed, the first database, not {found}")
    if found is not None and wanted not in {found, HOME}:
        raise ConfigError(
            f"DATABASE_URLS: {wanted} was stored as {found}: its drivers would not be found; "
            f"name the {found.databases} databases in the order in which they were made"
        )


async def read_seat(connection: "asyncpg.Connection[asyncpg.Record]") -> Seat | None:
    """What a database says that is not older than its seat. Raises what asyncpg raises."""
    row = await connection.fetchrow(_SEAT)
    return None if row is None or row[0] is None else Seat(*row)
