"""Which primary serves which slots, as the nodes of a cluster say it. Pure.

Nodes may disagree for a while, most of all around a failover: the view with the highest epoch is
the newest, since an election and a move of slots count it up.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import hiredis

from common.slots import SLOTS


class Address(NamedTuple):
    """Where a node is."""

    host: str
    port: int


class View(NamedTuple):
    """What a node says. `ok`: whether it is part of a working cluster."""

    ok: bool
    epoch: int
    # (first slot, last slot, primary)
    ranges: tuple[tuple[int, int, Address], ...]

    @property
    def primaries(self) -> tuple[Address, ...]:
        """Those that serve slots, in the order of these."""
        return tuple(dict.fromkeys(address for _, _, address in self.ranges))

    def owners(self) -> list[Address | None]:
        """By slot, its primary; None where nobody serves it."""
        owners: list[Address | None] = [None] * SLOTS
        for first, last, address in self.ranges:
            owners[first : last + 1] = [address] * (last - first + 1)
        return owners


def read_view(info: bytes, slots: Sequence[Sequence[object]], asked: Address) -> View:
    """The replies to CLUSTER INFO and CLUSTER SLOTS of the node `asked`.

    A node that does not know under which name it is reached leaves its own empty.
    """
    facts = dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)
    ranges = []
    for first, last, primary, *_ in slots:
        address = _address(primary, asked)
        if address is not None:
            ranges.append((int(first), int(last), address))  # type: ignore[call-overload]
    return View(
        ok=facts.get(b"cluster_state") == b"ok",
        epoch=int(facts.get(b"cluster_current_epoch", 0)),
        ranges=tuple(sorted(ranges)),
    )


def _address(node: object, asked: Address) -> Address | None:
    host, port = node[0], node[1]  # type: ignore[index]
    name = (host or b"").decode()
    return None if name == "?" else Address(name or asked.host, int(port))


def newest_view(views: Iterable[View]) -> View | None:
    """The one to believe, None where no node knows of any slots."""
    known = [view for view in views if view.ranges]
    return max(known, key=lambda view: (view.ok, view.epoch), default=None)


class Redirect(NamedTuple):
    """Where a command has to go. `asking`: for this once; else its slot has moved there."""

    slot: int
    address: Address
    asking: bool


def read_redirect(reply: object, asked: Address) -> Redirect | None:
    """What an error reply says of the key's place; None for any other reply."""
    if not isinstance(reply, hiredis.ReplyError):
        return None
    kind, _, rest = str(reply).partition(" ")
    if kind not in ("MOVED", "ASK"):
        return None
    slot, _, where = rest.partition(" ")
    host, _, port = where.rpartition(":")
    if not slot.isdigit() or not port.isdigit():
        return None
    return Redirect(int(slot), Address(host or asked.host, int(port)), kind == "ASK")


class Resent(NamedTuple):
    """Commands, by their places, that go to another node together: one, or a transaction."""

    first: int
    last: int
    redirect: Redirect


def redirected(
    commands: Sequence[Sequence[object]], replies: Sequence[object], asked: Address
) -> list[Resent]:
    """What of a pipeline was not done because its keys are elsewhere, in its order.

    A transaction that holds such a command was refused as a whole.
    """
    found: list[Resent] = []
    begin: int | None = None
    inside: Redirect | None = None
    for place, (command, reply) in enumerate(zip(commands, replies, strict=True)):
        verb = command[0]
        if verb == "MULTI":
            begin, inside = place, None
            continue
        redirect = read_redirect(reply, asked)
        if begin is None:
            if redirect is not None:
                found.append(Resent(place, place, redirect))
            continue
        inside = inside or redirect
        if verb == "EXEC":
            if inside is not None:
                found.append(Resent(begin, place, inside))
            begin = None
    return found


def fewest_copies(
    commands: Sequence[Sequence[object]], led: Sequence[Resent], found: Sequence[object]
) -> object:
    """The reply to a WAIT behind `commands` of which `led` were carried out elsewhere.

    `found`: the replies to WAIT, first that of the node that was asked, then those of the others.
    A node that carried out nothing has nothing to wait for.
    """
    moved = sum(each.last - each.first + 1 for each in led)
    replies = found[1:] if moved == len(commands) - 1 else found
    copies = [reply for reply in replies if isinstance(reply, int)]
    return min(copies) if len(copies) == len(replies) else 0


def by_address(resent: Iterable[Resent]) -> Mapping[Address, list[Resent]]:
    """The same, by where it goes."""
    parts: dict[Address, list[Resent]] = {}
    for each in resent:
        parts.setdefault(each.redirect.address, []).append(each)
    return parts
