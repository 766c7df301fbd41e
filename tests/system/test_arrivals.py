"""When the driver will be there, on a whole stack: socket, polling, and the role killed."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from typing import Any

from tests.clients.courier import Courier
from tests.clients.ws import watching
from tests.servers.fanout_server import in_loop
from tests.stack import Stack
from tests.wait import wait_until

# Some 2.5 km from where couriers begin.
DROPOFF = {"latitude": 53.4200, "longitude": -2.9650}


def ordered(stack: Stack, name: str, **more: object) -> str:
    """An order of a courier, and its path."""
    path = f"/api/v1/orders/{name}"
    order = {"driver_id": f"courier-{name}", "dropoff": DROPOFF, **more}
    wait_until(lambda: stack.request("PUT", path, order)[0] in {200, 201})
    return path


def said(stack: Stack, path: str) -> dict[str, Any]:
    """The arrival that the role has said, not the fallback: another time each second."""
    found: dict[str, Any] = {}

    def is_said() -> bool:
        status, found["arrival"] = stack.request("GET", f"{path}/arrival")
        return status == 200

    wait_until(is_said, timeout_s=15, what="an arrival")
    return dict(found["arrival"])


def test_the_socket_says_it_after_the_first_position(stack: Stack) -> None:
    async def main() -> None:
        ordered(stack, "socket-arrives")
        async with watching(stack.port, "socket-arrives") as customer:
            with Courier(stack, "socket-arrives") as courier:
                frames: list[Any] = []
                async with asyncio.timeout(20):
                    while not frames or frames[-1]["type"] != "arrival":
                        frames.append(await customer.json())
                assert frames[0]["type"] == "location_update"
                assert frames[-1]["data"]["driver_id"] == courier.driver_id
                async with watching(stack.port, "socket-arrives") as late:
                    first, second = await late.json(), await late.json()
                    kinds = {first["type"], second["type"]}
                    # Between the two the courier may have moved on.
                    assert first["type"] == "location_update"
                    assert kinds <= {"location_update", "arrival"}

    in_loop(main())


def test_killed_it_is_missed_by_nobody(stack: Stack) -> None:
    path = ordered(stack, "survives")
    with Courier(stack, "survives"):
        before = said(stack, path)
        pid = stack.pid("arrivals")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        # Who asks is answered meanwhile, by what was said last or by the fallback.
        assert stack.request("GET", f"{path}/arrival")[0] == 200
        assert stack.request("GET", f"{path}/location")[0] == 200

        def is_back() -> bool:
            arrival = said(stack, path)
            new = stack.pid("arrivals")
            return new not in {None, pid} and arrival["computed_at"] > before["computed_at"]

        wait_until(is_back, timeout_s=30, what="the role to be back")
    age_s = (datetime.now(UTC) - datetime.fromisoformat(before["computed_at"])).total_seconds()
    assert age_s > 0
