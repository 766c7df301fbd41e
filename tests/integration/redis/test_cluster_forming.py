"""A cluster is formed from wherever an earlier start was cut off."""

from tests.servers.cluster_nodes import read_nodes
from tests.servers.redis_cluster import PRIMARIES, bare_nodes


def test_a_start_that_was_cut_off_is_gone_on_with() -> None:
    with bare_nodes(replicas=1) as servers:
        first, second, *_, last = servers.nodes
        # Two have their slots, one of them knows another, and that was all.
        first.command("CLUSTER", "SET-CONFIG-EPOCH", "1")
        first.command("CLUSTER", "ADDSLOTSRANGE", "0", "5460")
        second.command("CLUSTER", "SET-CONFIG-EPOCH", "2")
        first.command("CLUSTER", "MEET", "127.0.0.1", str(last.port), str(servers.bus_of(last)))
        first.kill()
        servers.start()
        nodes = read_nodes(first.command("CLUSTER", "NODES"))
        primaries = {node.node_id for node in nodes if not node.primary_id}
        assert len(primaries) == PRIMARIES
        # Each has a replica of its own.
        assert {node.primary_id for node in nodes if node.primary_id} == primaries
        # Nothing is left to do, and nothing is done again.
        servers.start()
        again = read_nodes(first.command("CLUSTER", "NODES"))
        assert {node.node_id for node in again if not node.primary_id} == primaries
