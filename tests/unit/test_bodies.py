"""Names that are a slip away from a known one, and what is said of bodies of any shape."""

from enum import StrEnum
from typing import Annotated

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from common.bodies import members
from common.bodies.fault_list import FAULTS_MAX, FaultList, decode_body
from common.bodies.members import UNKNOWN_NAMES_MAX, is_slip, unknown_members
from common.errors import InvalidUpdate


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Wheel(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[float, Meta(ge=1)]
    colour: Colour | None = None


class Cart(msgspec.Struct):
    front: Wheel
    wheels: Annotated[list[Wheel], Meta(min_length=1, max_length=4)] = []
    paints: list[Colour] | UnsetType = UNSET
    spare: Wheel | UnsetType | None = UNSET


GOOD = {"front": {"size": 2}, "wheels": [{"size": 1, "colour": "red"}], "spare": None}


def faults_of(body: object) -> dict[str, str]:
    with pytest.raises(InvalidUpdate) as refused:
        decode_body(orjson.dumps(body), Cart)
    assert refused.value.status == 422
    return {fault.field: fault.detail for fault in refused.value.faults}


def test_what_is_good_is_what_its_types_say():
    assert decode_body(orjson.dumps(GOOD | {"owner": "is not kept"}), Cart) == Cart(
        Wheel(2.0), [Wheel(1.0, Colour.RED)], UNSET, None
    )


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"front": 7}, "front", "Expected object, got int"),
        ({"front": {}}, "front.size", "is required"),
        ({"front": {"size": 0}}, "front.size", ">= 1"),
        ({"front": {"size": True}}, "front.size", "Expected float"),
        ({"wheels": []}, "wheels", "must have 1 to 4 entries, not 0"),
        ({"wheels": [{"size": 1}] * 5}, "wheels", "not 5"),
        ({"wheels": [{"size": 1}, None]}, "wheels[1]", "must be an object"),
        ({"wheels": {}}, "wheels", "Expected array"),
        ({"spare": {"size": 3, "colour": "green"}}, "spare.colour", "must be one of red, blue"),
        ({"paints": ["red", "green"]}, "paints[1]", "must be one of red, blue"),
        ({"spare": {"size": 3, "rim": 1}}, "spare.rim", "is unknown: there are size, colour"),
        ({"Wheel": []}, "Wheel", "is unknown: is wheels meant?"),
    ],
)
def test_each_member_is_judged_alone_and_named_with_its_place(change, field, words):
    assert words in faults_of(GOOD | change)[field]


@pytest.mark.parametrize(
    ("name", "meant", "near"),
    [
        ("dropof", "dropoff", True), ("drop_off", "dropoff", True), ("dropofff", "dropoff", True),
        ("dorpoff", "dropoff", True), ("dropoof", "dropoff", True), ("driverId", "driver_id", True),
        ("Driver-ID", "driver_id", True), ("dropo", "dropoff", False), ("", "dropoff", False),
        ("vehicle_id", "vehicle", False), ("pickup_at", "pickup", False), ("ab", "ba", True),
    ],
)  # fmt: skip
def test_a_slip_is_one_letter(name, meant, near):
    assert is_slip(name, meant) is near
    assert is_slip(meant, name) is near


NAMES = st.text(alphabet="abc", max_size=6)


@given(NAMES, st.integers(0, 5), st.sampled_from("abcx"))
def test_any_one_change_is_a_slip(name, place, letter):
    place = min(place, len(name))
    added = name[:place] + letter + name[place:]
    assert is_slip(name, added)
    assert is_slip(name, name[:place] + letter + name[place + 1 :])
    assert is_slip(name, name[:place] + name[place : place + 2][::-1] + name[place + 2 :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(
            st.sampled_from(["front", "wheels", "size", "colour", "spare", "x"]), inner
        )
    ),
    max_leaves=30,
)


@given(JSON)
def test_whatever_comes_is_as_msgspec_has_it(value):
    """Member by member comes to what the types say as a whole, and no fault goes unnamed."""
    faults = FaultList()
    converted = faults.convert(value, Cart)
    try:
        expected = msgspec.convert(value, Cart)
    except msgspec.ValidationError:
        expected = None
    assert converted == expected
    assert (converted is None) == bool(faults)
    assert len(faults.faults) <= FAULTS_MAX


def test_of_very_many_unknown_names_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    """What broke: a body full of them took a second of CPU."""
    looked: list[str] = []
    monkeypatch.setattr(members, "is_slip", lambda name, _: looked.append(name))
    names = [f"made-up-{n}" for n in range(20 * UNKNOWN_NAMES_MAX)]
    assert list(unknown_members(["front", *names, "spare"], Cart, "")) == []
    assert sorted(set(looked)) == sorted(names[:UNKNOWN_NAMES_MAX])
    # Known ones do not count.
    assert [f.field for f in unknown_members(["size"] * 1_000 + ["sice"], Wheel, "")] == ["sice"]
