"""Granian puts another worker in the place of one that died, at times within one turn."""

import os
import subprocess
import sys

import pytest

from common.metrics.snapshot import encode_report
from common.settings import load_settings
from ingest.reports import WorkerReports, tell
from tests.servers import free_port
from tests.wait import wait_until


@pytest.fixture
def reports():
    made = WorkerReports(load_settings(metrics_port=free_port()))
    yield made
    made.close()
    made.for_workers.close()


def told(reports):
    page, _ = reports.metrics.page()
    lines = page.decode().splitlines()
    return [
        line.removeprefix("fleetline_process_")
        for line in lines
        if line.startswith("fleetline_process_") and "ingest-" in line and "age" not in line
    ]


@pytest.mark.parametrize("seen_between", [True, False])
def test_the_next_worker_has_the_name_of_the_one_that_died(reports, seen_between):
    first = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    tell(reports.for_workers, encode_report(first.pid, {}))
    reports.turn()
    assert told(reports) == ['up{process="ingest-0"} 1.0', 'restarts_total{process="ingest-0"} 0.0']
    first.communicate()
    if seen_between:
        reports.turn()
        assert told(reports)[0] == 'up{process="ingest-0"} 0.0'
    tell(reports.for_workers, encode_report(os.getpid(), {}))
    wait_until(lambda: reports.turn() or told(reports)[0].endswith("1.0"))
    assert told(reports) == ['up{process="ingest-0"} 1.0', 'restarts_total{process="ingest-0"} 1.0']
