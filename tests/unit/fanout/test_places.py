"""Who may have how many sockets."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from common.access.policy import Principal, Role
from fanout.sockets.answers import Rejected
from fanout.sockets.places import Places, SocketLimits, holder_of

LIMITS = SocketLimits(process=10, per_token=2, per_order=4, per_address=3)


def link(number: int, order_id: str = "o1") -> Principal:
    return Principal(Role.TRACKER, order_id, order_id=order_id, token_id=f"t{number}")


class House:
    """Places, and who has one."""

    def __init__(self, limits: SocketLimits = LIMITS) -> None:
        self.watchers: Counter[str] = Counter()
        self.places = Places(limits, self.watchers.__getitem__)

    def enter(self, principal: Principal | None, order_id: str | None, address: str) -> bool:
        holder = holder_of(principal, address)
        try:
            self.places.require_room()
            self.places.require_place(holder, principal, order_id)
        except Rejected as e:
            assert e.problem.status == (503 if self.places.taken == 10 else 429)
            assert e.headers == {"Retry-After": "5"}
            return False
        self.places.take(holder)
        if order_id is not None:
            self.watchers[order_id] += 1
        return True


def admitted(house: House, who: Sequence[tuple[Principal | None, str | None, str]]) -> list[bool]:
    return [house.enter(*one) for one in who]


def test_one_link_takes_its_share_and_its_order_the_rest() -> None:
    house = House()
    links = [(link(n), "o1", "203.0.113.5") for n in (1, 1, 1, 2, 2, 3)]
    assert admitted(house, links) == [True, True, False, True, True, False]
    # Another order behind the same carrier's address.
    assert admitted(house, [(link(9, "o2"), "o2", "203.0.113.5")]) == [True]


def test_the_fleets_own_may_have_half() -> None:
    house = House()
    shop = Principal(Role.GATEWAY, "shop", key_id="k")
    asked: list[tuple[Principal | None, str | None, str]]
    asked = [(shop, f"o{n}", "203.0.113.5") for n in range(6)]
    assert admitted(house, asked) == [True] * 5 + [False]
    ann = Principal(Role.OPERATOR, "ann", token_id="a")
    assert admitted(house, [(ann, None, "203.0.113.5")] * 6) == [True] * 5 + [False]


def test_without_a_token_an_address_is_limited_unless_it_is_this_machine() -> None:
    house = House()
    strangers = [(None, f"o{n}", "203.0.113.5") for n in range(4)]
    assert admitted(house, strangers) == [True] * 3 + [False]
    assert admitted(house, [(None, f"o{n}", "127.0.0.1") for n in range(8)]) == [True] * 7 + [False]


def test_a_household_is_one_address() -> None:
    house = House()
    home = [(None, "o1", f"2001:db8:1:1::{n}") for n in range(4)]
    assert admitted(house, home) == [True] * 3 + [False]


def test_tokens_are_told_apart() -> None:
    house = House(SocketLimits(process=100, per_token=1))
    named = [
        Principal(Role.TRACKER, "x", order_id="x"),
        Principal(Role.TRACKER, "y", order_id="y"),
        Principal(Role.TRACKER, "x", order_id="x", token_id="x"),
        Principal(Role.TRACKER, "x", order_id="x", key_id="x"),
    ]
    assert admitted(house, [(one, None, "") for one in named]) == [True] * 4
    assert admitted(house, [(one, None, "") for one in named]) == [False] * 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), max_size=60))
def test_every_place_comes_back(steps: list[tuple[int, int, int]]) -> None:
    house, inside = House(), list[tuple[str | None, str]]()
    for token, order, leaving in steps:
        principal, order_id = link(token, f"o{order}") if token else None, f"o{order}"
        if house.enter(principal, order_id, "203.0.113.5"):
            inside.append((holder_of(principal, "203.0.113.5"), order_id))
        if leaving == 0 and inside:
            holder, left = inside.pop()
            house.places.give_back(holder)
            house.watchers[left] -= 1
        assert house.places.taken == len(inside) <= LIMITS.process
    for holder, _ in inside:
        house.places.give_back(holder)
    assert (house.places.taken, dict(house.places.held)) == (0, {})
