"""Which drivers a fence is for: ids, and prefixes that end in `*`. Pure."""

from collections.abc import Iterable
from typing import Self

import msgspec


class DriverPattern(msgspec.Struct, frozen=True):
    """The ids and prefixes of one fence; `everybody` where it names none."""

    everybody: bool = True
    ids: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str] | None) -> Self:
        """The pattern that `texts` say; None is everybody."""
        if texts is None:
            return cls()
        texts = tuple(texts)
        prefixes = tuple(text[:-1] for text in texts if text.endswith("*"))
        ids = frozenset(text for text in texts if not text.endswith("*"))
        return cls("" in prefixes, ids, prefixes)

    def covers(self, driver_id: str) -> bool:
        """Whether `driver_id` is one of them."""
        return (
            self.everybody
            or driver_id in self.ids
            or bool(self.prefixes and driver_id.startswith(self.prefixes))
        )
