"""Geofences through the front door, as the documentation tells people to."""

import math
import re
import subprocess
from pathlib import Path

from tests.stack import Stack
from tests.wait import wait_until

DOCS = (Path(__file__).parents[2] / "docs/geofences.md").read_text()
PATH = "/api/v1/geofences"


def outline(corners: int) -> dict[str, object]:
    turns = [2 * math.pi * n / corners for n in range(corners)]
    ring = [[12 + math.cos(turn), 40 + math.sin(turn)] for turn in turns]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return {"name": "round", "geometry": geometry}


def test_long_outlines_pass_and_longer_bodies_are_refused(stack: Stack) -> None:
    status, body = stack.request("PUT", f"{PATH}/round", outline(9_000))
    assert (status, len(body["geometry"]["coordinates"][0])) == (201, 9_001)
    status, body = stack.request("PUT", f"{PATH}/round", outline(30_000))
    assert (status, body["type"]) == (413, "/problems/body-too-large")
    assert stack.request("DELETE", f"{PATH}/round")[0] == 204


def test_the_commands_of_the_documentation(stack: Stack, tmp_path: Path) -> None:
    commands = re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL)
    assert len(commands) == 2
    for command in commands:
        here = command.replace("http://127.0.0.1:8002", stack.url).replace("curl ", "curl -sf ")
        subprocess.run(["sh", "-ec", here], cwd=tmp_path, check=True, timeout=30)
    status, depot = stack.request("GET", f"{PATH}/depot-north")
    assert (status, depot["radius_m"], depot["dwell_s"]) == (200, 75, 120)
    # It was imported again after it was made.
    assert depot["updated_at"] > depot["created_at"]
    place = {"latitude": 40.7128, "longitude": -74.006, "driver_id": "documented"}

    def inside() -> bool:
        assert stack.request("POST", "/api/v1/drivers/locations", [place])[0] == 202
        drivers = stack.request("GET", f"{PATH}/depot-north/drivers")[1]["drivers"]
        return "documented" in [driver["driver_id"] for driver in drivers]

    wait_until(inside, timeout_s=20, what="the driver to be inside")
    assert stack.request("DELETE", f"{PATH}/depot-north")[0] == 204
    feed = "/api/v1/events?geofence_id=depot-north&type=geofence.exit"

    def reasons() -> list[str]:
        return [e["data"]["reason"] for e in stack.request("GET", feed)[1]["events"]]

    wait_until(lambda: reasons() == ["deleted"], timeout_s=20, what="the exit")
