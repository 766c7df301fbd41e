"""Faults as they are found, each with its place: `jobs[3].windows[0]: …`. Pure."""

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from common.errors import Fault, InvalidUpdate

T = TypeVar("T")
# So many are named; whoever mends them sees the rest.
FAULTS_MAX = 20


class FaultList:
    """Collects faults. `add` and `convert` never raise."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    @property
    def full(self) -> bool:
        """Whether no more need be looked for."""
        return len(self._faults) >= FAULTS_MAX

    def add(self, field: str, detail: str) -> None:
        """One more."""
        if not self.full:
            self._faults.append(Fault(field, detail))

    def convert(self, value: object, kind: type[T], where: str) -> T | None:
        """`value` (decoded JSON) as the struct `kind`, or None: each member is judged alone."""
        if not isinstance(value, dict):
            self.add(where or "body", "must be an object")
            return None
        before = len(self._faults)
        members = dict(self._members(value, kind, f"{where}." if where else ""))
        return kind(**members) if len(self._faults) == before and not self.full else None

    def _members(
        self, value: dict[str, Any], kind: type[Any], stem: str
    ) -> Iterator[tuple[str, Any]]:
        for member in msgspec.structs.fields(kind):
            if member.name not in value:
                if member.required:
                    self.add(f"{stem}{member.name}", "is required")
                continue
            try:
                yield member.name, msgspec.convert(value[member.name], member.type)
            except msgspec.ValidationError as e:
                place, detail = worded(str(e))
                self.add(f"{stem}{member.name}{place}", detail)

    def refuse(self) -> None:
        """Raise `InvalidUpdate` with all of them, if there are any."""
        if self._faults:
            detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in self._faults)
            raise InvalidUpdate(detail, faults=tuple(self._faults))


def worded(message: str) -> tuple[str, str]:
    """msgspec's words for a fault, `… - at `$[3].at``, as a place and a sentence."""
    detail, _, place = message.partition(" - at `$")
    detail = detail.replace(" | null", "").replace("`", "")
    return place.rstrip("`"), detail[:1].lower() + detail[1:]
