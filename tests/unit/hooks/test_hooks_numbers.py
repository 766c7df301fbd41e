"""The numbers of the sender are those of what it did."""

from common.metrics.names import hooks as names
from common.metrics.snapshot import Snapshot
from consumers.hooks.numbers import SenderNumbers


def test_all_of_it_is_given_also_what_is_zero():
    numbers, snapshot = SenderNumbers(), Snapshot()
    numbers.tried("delivered", 0.004)
    numbers.tried("delivered")
    numbers.tried("waiting")
    numbers.listed(["on", "on", "failing"])
    numbers.listed(["on", "off"])
    numbers.put(snapshot)
    assert snapshot.values[names.ATTEMPTS.name] == {
        ("delivered",): 2, ("waiting",): 1, ("dead",): 0,
    }  # fmt: skip
    assert snapshot.values[names.WEBHOOKS.name] == {("on",): 1, ("failing",): 0, ("off",): 1}
    times = snapshot.values[names.DELIVERY_TIME.name][()]
    assert sum(times[:-1]) == 1
    assert times[-1] == 0.004
