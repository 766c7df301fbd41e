"""The bench works on this machine: its generators against a running stack, and one scenario."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from bench.load import generator, watcher
from bench.load.workload import first_order
from bench.processes import Talker
from tests.stack import Stack, environment


def test_fixes_are_seen_by_those_who_watch(stack: Stack, tmp_path: Path) -> None:
    path = "/api/v1/drivers/orders/{}/driver-location"
    paths = [path.format(first_order(n)) for n in range(20)]
    sender = generator.Plan(stack.port, 4, 1.0, rate=200, drivers=20, requests=100, seed=3)
    watching = watcher.Plan(port=stack.port, paths=paths)
    seen = Talker("bench.load.watcher", asdict(watching), tmp_path / "watcher.log")
    sent = Talker("bench.load.generator", asdict(sender), tmp_path / "generator.log")
    try:
        seen.go()
        sent.go()
        posts = generator.Report(**sent.report(20))
        assert posts.statuses == {"202": posts.requests}
        assert posts.fixes_accepted == posts.fixes_sent > 100
        assert posts.latency_ms["p50"] > 0
    finally:
        sent.close()
        seen.go()
        frames = watcher.Report(**seen.report(20))
    assert frames.closed == 0
    assert 0 < frames.frames <= posts.fixes_first_order
    assert 0 < frames.latency_ms["p50"] < 10_000


def test_a_generator_takes_rounds_that_lie_apart(stack: Stack, tmp_path: Path) -> None:
    plan = generator.Plan(
        stack.port, 2, 0.4, rate=100, requests=10, driver_id="bench-rounds", rounds=True
    )
    talker = Talker("bench.load.generator", asdict(plan), tmp_path / "generator.log")
    try:
        for _ in range(2):
            talker.go()
            posts = generator.Report(**talker.report(20, rounds=True))
            assert posts.statuses == {"202": posts.requests}
            assert posts.requests > 30
    finally:
        talker.close()
    assert stack.request("GET", "/api/v1/drivers/bench-rounds/location")[0] == 200


def test_a_scenario_leaves_a_result_and_no_process(tmp_path: Path) -> None:
    done = subprocess.run(
        (
            sys.executable, "-m", "bench", "--quick", "--only", "history", "--seed", "5",
            "--out", str(tmp_path),
        ),
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(),
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.glob("*.json")
    found = json.loads(file.read_text())
    assert found["config"] == {"quick": True, "seed": 5, "scenarios": ["history"]}
    (scenario,) = found["scenarios"]
    keys = [figure["key"] for figure in scenario["figures"]]
    assert keys == [
        "history.straight", "history.row", "history.duplicates_5", "history.duplicates_all",
    ]  # fmt: skip
    assert all(figure["value"] > 0 for figure in scenario["figures"])
    assert file.with_suffix(".md").exists()


def test_an_unknown_scenario_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "bench", "--only", "nonsense", "--out", str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "nonsense" in done.stderr
