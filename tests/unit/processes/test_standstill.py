"""A machine that was suspended: who stood still itself finds no child silent."""

from common.processes.supervision.child import Child
from common.processes.supervision.children import STOOD_STILL_S, Children
from common.processes.supervision.spec import ChildSpec

PATIENCE_S = 5.0


def test_after_a_pause_of_the_supervisor_its_children_have_their_time_again():
    """Each host killed all its workers after a pause, and said that they hung."""
    child = Child(ChildSpec("a", ("true",), heartbeat_timeout_s=PATIENCE_S))
    children = Children()
    children.add(child)
    children.excuse_standstill(100.0)
    child.beat_at_s = 100.5
    for now_s in (101.0, 101.0 + STOOD_STILL_S):
        children.excuse_standstill(now_s)
    assert child.beat_at_s == 100.5
    children.excuse_standstill(160.0)
    assert child.beat_at_s == 100.5 + 57.0
    # Who has not beaten yet is not watched, and stays so.
    child.beat_at_s = None
    children.excuse_standstill(260.0)
    assert child.beat_at_s is None
