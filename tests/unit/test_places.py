"""Who may have how many sockets."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from common.access.policy import Principal, Role
from fanout.sockets.answers import Rejected
from fanout.sockets.places import Places, SocketLimits, place_of

LIMITS = SocketLimits(process=10, per_token=2, per_order=4, per_address=3)


def link(number: int, order_id: str = "o1") -> Principal:
    return Principal(Role.TRACKER, order_id, order_id=order_id, token_id=f"t{number}")


def enter(places: Places, principal: Principal | None, order_id: str | None, address: str) -> bool:
    place = place_of(principal, order_id, address)
    try:
        places.require_room()
        places.require_place(place, principal)
    except Rejected as e:
        assert e.problem.status == (503 if places.taken == 10 else 429)
        assert e.headers == {"Retry-After": "5"}
        return False
    places.take(place)
    return True


def admitted(places: Places, who: Sequence[tuple[Principal | None, str | None, str]]) -> list[bool]:
    return [enter(places, *one) for one in who]


def test_one_link_takes_its_share_and_its_order_the_rest() -> None:
    places = Places(LIMITS)
    links = [(link(n), "o1", "203.0.113.5") for n in (1, 1, 1, 2, 2, 3)]
    assert admitted(places, links) == [True, True, False, True, True, False]
    # Another order behind the same carrier's address.
    assert admitted(places, [(link(9, "o2"), "o2", "203.0.113.5")]) == [True]


def test_the_fleets_own_may_have_half() -> None:
    places = Places(LIMITS)
    shop = Principal(Role.GATEWAY, "shop", key_id="k")
    asked: list[tuple[Principal | None, str | None, str]]
    asked = [(shop, f"o{n}", "203.0.113.5") for n in range(6)]
    assert admitted(places, asked) == [True] * 5 + [False]
    ann = Principal(Role.OPERATOR, "ann", token_id="a")
    assert admitted(places, [(ann, None, "203.0.113.5")] * 6) == [True] * 5 + [False]


def test_without_a_token_an_address_is_limited_unless_it_is_this_machine() -> None:
    places = Places(LIMITS)
    strangers = [(None, f"o{n}", "203.0.113.5") for n in range(4)]
    assert admitted(places, strangers) == [True] * 3 + [False]
    assert admitted(places, [(None, f"o{n}", "127.0.0.1") for n in range(8)]) == [True] * 7 + [
        False
    ]


def test_tokens_are_told_apart() -> None:
    places = Places(SocketLimits(process=100, per_token=1))
    named = [
        Principal(Role.TRACKER, "x", order_id="x"),
        Principal(Role.TRACKER, "y", order_id="y"),
        Principal(Role.TRACKER, "x", order_id="x", token_id="x"),
        Principal(Role.TRACKER, "x", order_id="x", key_id="x"),
    ]
    assert admitted(places, [(one, None, "") for one in named]) == [True] * 4
    assert admitted(places, [(one, None, "") for one in named]) == [False] * 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), max_size=60))
def test_every_place_comes_back(steps: list[tuple[int, int, int]]) -> None:
    places, inside = Places(LIMITS), []
    for token, order, leaving in steps:
        principal = link(token, f"o{order}") if token else None
        if enter(places, principal, f"o{order}", "203.0.113.5"):
            inside.append(place_of(principal, f"o{order}", "203.0.113.5"))
        if leaving == 0 and inside:
            places.give_back(inside.pop())
        assert places.taken == len(inside) <= LIMITS.process
    for place in inside:
        places.give_back(place)
    assert (places.taken, dict(places.counts)) == (0, {})
