"""The settings of several databases, and of what their tables are made of."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from common.databases.placing import parse_urls
from common.databases.url import SCHEMES, require_readable
from common.settings.authorities import require_database_authorities

# A day is a whole number of them: days are dropped, archived and worked off as a whole.
CHUNKS: dict[str, int] = {"1d": 24, **{f"{n}h": n for n in (1, 2, 3, 4, 6, 8, 12)}}


class DatabaseSettings(BaseModel):
    """What `Settings` has for several databases."""

    # PostgreSQL, with or without the TimescaleDB extension.
    database_url: str = "postgresql://fleetline@127.0.0.1:5434/fleetline"
    # All databases where there are several, separated by commas: each has the history of a part of
    # the drivers, the first also what no driver divides. DATABASE_URL is then the first, or unset.
    database_urls: Annotated[str, Field(repr=False)] = ""
    # How much time a partition of the history holds, or a chunk of TimescaleDB: 1d, or 12h, 8h,
    # 6h, 4h, 3h, 2h, 1h, so that the index of the newest fits in memory. For days to come.
    history_chunk: str = "1d"

    @model_validator(mode="before")
    @classmethod
    def name_the_first(cls, values: Any) -> Any:
        """With DATABASE_URLS the first of them is DATABASE_URL."""
        if isinstance(values, dict) and values.get("database_urls"):
            urls = parse_urls(str(values["database_urls"]))
            if urls:
                return {"database_url": urls[0], **values}
        return values

    @model_validator(mode="after")
    def several_databases(self) -> Self:
        """Check what must hold between them."""
        if self.database_urls and self.databases[0] != self.database_url:
            raise ValueError("DATABASE_URL must be the first of DATABASE_URLS, or not be set")
        if not self.database_url.startswith(SCHEMES):
            raise ValueError(f"DATABASE_URL must begin with {' or '.join(SCHEMES)}")
        require_readable("DATABASE_URL", self.database_url)
        several = "DATABASE_URLS" if self.database_urls else "DATABASE_URL"
        for url in self.databases:
            require_database_authorities(several, url)
        if self.history_chunk not in CHUNKS:
            raise ValueError(
                f"HISTORY_CHUNK: must be one of {', '.join(CHUNKS)}, not {self.history_chunk!r}"
            )
        return self

    @property
    def databases(self) -> tuple[str, ...]:
        """The URLs of all databases, home first."""
        return parse_urls(self.database_urls) or (self.database_url,)

    @property
    def chunk_hours(self) -> int:
        """HISTORY_CHUNK in hours."""
        return CHUNKS[self.history_chunk]
