"""The journal: every fix that was sent and what was answered, on disk before anybody is asked.

Independent of the code under test, and of the load's memory: lines are written through before a
request leaves, so what the judge reads is what happened even if the load itself dies.

Lines, in the order of events: `S number driver recorded_us kind` (is about to be sent for the
first time) · `A number` (202) · `R number status` (refused for good) · `U number` (unknown: 503,
no answer, cut) · `P number` (poison is about to be put in) · `Q number` (Redis has it).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tests.faults.chaos.fixes import Fix


@dataclass(slots=True)
class Sent:
    """What the journal says of one fix."""

    driver: str
    recorded_us: int
    kind: str
    accepted: int = 0
    refused: int = 0
    unknown: int = 0


@dataclass(slots=True)
class Told:
    """A journal that was read: number → fix; numbers of poison that may and must be there."""

    fixes: dict[int, Sent] = field(default_factory=dict)
    poison_sent: set[int] = field(default_factory=set)
    poison_there: set[int] = field(default_factory=set)


class Journal:
    """Appends lines; each call is one write to the operating system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO = path.open("a", encoding="ascii")
        self._known: set[int] = set()

    def sending(self, fixes: Iterable[Fix]) -> None:
        """Before the first byte of a request leaves."""
        new = [fix for fix in fixes if fix.number not in self._known]
        self._known.update(fix.number for fix in new)
        self._write(f"S {f.number} {f.driver} {f.recorded_us} {f.kind}\n" for f in new)

    def accepted(self, fixes: Iterable[Fix]) -> None:
        """After a 202."""
        self._write(f"A {fix.number}\n" for fix in fixes)

    def refused(self, fixes: Iterable[Fix], status: int) -> None:
        """After an answer that says: this will never be taken."""
        self._write(f"R {fix.number} {status}\n" for fix in fixes)

    def unknown(self, fixes: Iterable[Fix]) -> None:
        """After no answer, or one that leaves it open."""
        self._write(f"U {fix.number}\n" for fix in fixes)

    def poison(self, number: int, *, there: bool) -> None:
        """Before poison is put in a stream, and once Redis has confirmed it."""
        self._write((f"{'Q' if there else 'P'} {number}\n",))

    def close(self) -> None:
        """Nothing more will be written."""
        self._file.close()

    def _write(self, lines: Iterable[str]) -> None:
        self._file.write("".join(lines))
        self._file.flush()


def read_journal(path: Path) -> Told:
    """All that it says."""
    told = Told()
    with path.open(encoding="ascii") as lines:
        for line in lines:
            _read_line(told, line.split())
    return told


def _read_line(told: Told, words: list[str]) -> None:
    number = int(words[1])
    match words[0]:
        case "S":
            told.fixes[number] = Sent(words[2], int(words[3]), words[4])
        case "A":
            told.fixes[number].accepted += 1
        case "R":
            told.fixes[number].refused += 1
        case "U":
            told.fixes[number].unknown += 1
        case "P":
            told.poison_sent.add(number)
        case "Q":
            told.poison_there.add(number)
