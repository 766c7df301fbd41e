"""Newest wins: which events move a driver (or an order) and which come too late.

Pure. The worker is its shard's only writer, so what it remembers is the truth; what it does not
remember it looks up once. Deciding is idempotent: a redelivered event decides the same again.
"""

from collections.abc import Iterable
from datetime import datetime

Time = tuple[datetime, datetime]


class Newest:
    """Name → effective time of its newest event, for at most `names_max` names."""

    def __init__(self, names_max: int) -> None:
        self._names_max = names_max
        self._times: dict[str, Time | None] = {}

    def __len__(self) -> int:
        return len(self._times)

    def __contains__(self, name: object) -> bool:
        return name in self._times

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that must be looked up first, each once."""
        times = self._times
        return list({name: None for name in names if name not in times})

    def learn(self, name: str, time: Time | None) -> None:
        """Remember what was looked up, None when the name has no event yet; the newer one stays."""
        known = self._times.setdefault(name, time)
        if time is not None and (known is None or time > known):
            self._times[name] = time

    def advance(self, name: str, time: Time) -> bool:
        """Whether `time` is newer than all before it; if so it is the newest from now on."""
        newest = self._times.get(name)
        if newest is not None and time <= newest:
            return False
        self._times[name] = time
        return True

    def forget(self, names: Iterable[str] | None) -> None:
        """These names, or all of them, are looked up again."""
        if names is None:
            self._times.clear()
            return
        for name in names:
            self._times.pop(name, None)

    def trim(self) -> None:
        """Forget the names known longest, down to nine tenths, when there are too many."""
        surplus = len(self._times) - self._names_max
        if surplus <= 0:
            return
        surplus += self._names_max // 10
        for name in list(self._times)[:surplus]:
            del self._times[name]
