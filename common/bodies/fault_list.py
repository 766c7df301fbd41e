"""Faults as they are found, each with its place: `jobs[3].windows[0]: …`. Pure."""

from typing import Any, TypeVar

import msgspec

from common.bodies.members import KnownMember, members_of, unknown_members
from common.errors import Fault, InvalidUpdate
from common.event import MALFORMED

T = TypeVar("T", bound=msgspec.Struct)
# At most so many are named; the rest is named once these are mended.
FAULTS_MAX = 20
_decode = msgspec.json.Decoder().decode
_BROKEN = object()


class FaultList:
    """Collects faults. `add`, `convert` and `members` never raise."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self.faults)

    @property
    def full(self) -> bool:
        """Whether no more need be looked for."""
        return len(self.faults) >= FAULTS_MAX

    def add(self, field: str, detail: str) -> None:
        """One more."""
        if not self.full:
            self.faults.append(Fault(field, detail))

    def convert(self, value: object, kind: type[T], where: str = "") -> T | None:
        """`value` (decoded JSON) as the struct `kind`, or None: each member is judged alone."""
        before = len(self.faults)
        members = self.members(value, kind, where)
        return kind(**members) if len(self.faults) == before and not self.full else None

    def members(self, value: object, kind: type[msgspec.Struct], where: str = "") -> dict[str, Any]:
        """Those members of `value` (decoded JSON) that are good, as the struct would have them."""
        good: dict[str, Any] = {}
        if not isinstance(value, dict):
            self.add(where or "body", "must be an object")
            return good
        stem = f"{where}." if where else ""
        for member in members_of(kind):
            if member.name in value:
                converted = self._member(value[member.name], member, stem + member.name)
                if converted is not _BROKEN:
                    good[member.name] = converted
            elif member.required:
                self.add(stem + member.name, "is required")
        for fault in unknown_members(value, kind, stem):
            if self.full:
                break
            self.faults.append(fault)
        return good

    def _member(self, value: object, member: KnownMember, where: str) -> object:
        if member.inner is not None and member.is_list and isinstance(value, list):
            return self._list(value, member, member.inner, where)
        if member.inner is not None and not member.is_list and isinstance(value, dict):
            inner = self.convert(value, member.inner, where)
            return _BROKEN if inner is None else inner
        try:
            return msgspec.convert(value, member.type)
        except msgspec.ValidationError as e:
            place, detail = member.worded(str(e))
            self.add(where + place, detail)
            return _BROKEN

    def _list(
        self, values: list[Any], member: KnownMember, kind: type[msgspec.Struct], where: str
    ) -> object:
        most = len(values) if member.most is None else member.most
        if not member.least <= len(values) <= most:
            self.add(where, f"must have {member.least} to {most} entries, not {len(values)}")
            return _BROKEN
        items = []
        for place, value in enumerate(values):
            if self.full:
                break
            items.append(self.convert(value, kind, f"{where}[{place}]"))
        return items

    def refuse(self) -> None:
        """Raise `InvalidUpdate` with all of them, if there are any."""
        if self.faults:
            raise self.refusal()

    def refusal(self) -> InvalidUpdate:
        """The 422 that names them."""
        detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in self.faults)
        return InvalidUpdate(detail, faults=tuple(self.faults))


def decode_json(data: bytes | msgspec.Raw) -> object:
    """The JSON in a body. Raises `InvalidUpdate`: 400, or 422 for a number that is none here."""
    try:
        return _decode(data)
    except msgspec.ValidationError as e:
        raise InvalidUpdate(f"the body: {str(e)[:1].lower()}{str(e)[1:]}") from e
    except MALFORMED as e:
        raise InvalidUpdate(f"the body is not JSON: {e}", status=400) from e


def decode_body(data: bytes, kind: type[T]) -> T:
    """A body as the struct `kind`. Raises `InvalidUpdate` with all faults."""
    faults = FaultList()
    body = faults.convert(decode_json(data), kind)
    if body is None:
        raise faults.refusal()
    return body
