"""What a body may have, as the types of its structs say it, and what a name that is none means.

A struct that forbids unknown fields is a question: a member that is not understood would change
its answer unnoticed, and is a fault. Others are records that may carry more than is kept: there
only a name that is one slip away from a known one is a fault. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from msgspec import inspect

from common.errors import Fault
from common.ids import ID_DETAIL, ID_PATTERN

# Of a name that somebody made up, so much is said again.
NAME_CHARS_MAX = 64
# Of the names of one object that are unknown, so many are looked at, some 10 µs each: a body may be
# full of them.
UNKNOWN_NAMES_MAX = 100
TIME_DETAIL = "must be a time as RFC 3339 with an offset"
_Struct = type[msgspec.Struct]


@dataclass(frozen=True, slots=True)
class KnownMember:
    """One member of a struct. `inner`: the struct that it is, or is a list of (`least`, `most`)."""

    name: str
    type: Any
    required: bool
    inner: _Struct | None
    is_list: bool
    least: int
    most: int | None
    choices: tuple[str, ...]
    is_id: bool

    def worded(self, message: str) -> tuple[str, str]:
        """msgspec's words for a fault, `… - at `$[3].at``, as a place in it and a sentence."""
        detail, _, place = message.partition(" - at `$")
        if self.choices and "enum value" in detail:
            detail = f"must be one of {', '.join(self.choices)}"
        elif self.is_id:
            detail = ID_DETAIL
        elif "RFC3339" in detail or "datetime" in detail:
            detail = TIME_DETAIL
        return place.rstrip("`"), detail.replace(" | null", "").replace("`", "")


@cache
def members_of(kind: _Struct) -> tuple[KnownMember, ...]:
    """All members of a struct."""
    return tuple(_known(field) for field in msgspec.structs.fields(kind))


def unknown_members(names: Iterable[str], kind: _Struct, stem: str) -> Iterator[Fault]:
    """Those of `names` that are a fault in a body of this kind; the first of very many."""
    known = dict.fromkeys(member.name for member in members_of(kind))
    for name in islice((name for name in names if name not in known), UNKNOWN_NAMES_MAX):
        near = next((other for other in known if is_slip(name, other)), None)
        shown = stem + name[:NAME_CHARS_MAX]
        if near is not None:
            yield Fault(shown, f"is unknown: is {near} meant?")
        elif kind.__struct_config__.forbid_unknown_fields:
            yield Fault(shown, f"is unknown: there are {', '.join(known)}")


def is_slip(name: str, meant: str) -> bool:
    """Whether `name` is `meant` but for case, underscores, and one letter that is wrong, missing,
    too many, or has changed places with its neighbour.
    """
    a, b = _bare(name), _bare(meant)
    if abs(len(a) - len(b)) > 1:
        return False
    pairs = enumerate(zip(a, b, strict=False))
    same = next((n for n, (x, y) in pairs if x != y), min(len(a), len(b)))
    a, b = a[same:], b[same:]
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:]
    return a[1:] == b[1:] or a == b[1:] or a[1:] == b or swapped


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _known(field: Any) -> KnownMember:
    parts = tuple(_parts(inspect.type_info(field.type)))
    lists = [part for part in parts if isinstance(part, inspect.ListType)]
    items = [item for part in lists for item in _parts(part.item_type)]
    own = next((p.cls for p in parts if isinstance(p, inspect.StructType)), None)
    listed = next((p.cls for p in items if isinstance(p, inspect.StructType)), None)
    return KnownMember(
        name=field.name,
        type=field.type,
        required=field.required,
        inner=own or listed,
        is_list=own is None and listed is not None,
        least=(lists[0].min_length or 0) if lists else 0,
        most=lists[0].max_length if lists else None,
        choices=tuple(choice for part in (*parts, *items) for choice in _choices(part)),
        is_id=any(isinstance(p, inspect.StrType) and p.pattern == ID_PATTERN for p in parts),
    )


def _parts(info: inspect.Type) -> Iterator[inspect.Type]:
    """The types of a union, or the one type, without what only describes them."""
    if isinstance(info, inspect.Metadata):
        yield from _parts(info.type)
    elif isinstance(info, inspect.UnionType):
        for part in info.types:
            yield from _parts(part)
    else:
        yield info


def _choices(info: inspect.Type) -> Iterable[str]:
    if isinstance(info, inspect.LiteralType):
        return [str(value) for value in info.values]
    if isinstance(info, inspect.EnumType):
        members: Mapping[str, Enum] = info.cls.__members__
        return [str(member.value) for member in members.values()]
    return ()
