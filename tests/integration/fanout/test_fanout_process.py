"""The fan-out as a process: it ends with any of its tasks, and its workers can be listed."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.processes.background import EXIT_TASK_DIED
from common.processes.supervision.state import read_state, state_file
from tests.access import SECRET, bearer, token
from tests.servers.fanout_broken import TASKS
from tests.servers.fanout_server import fanout, fanout_process, fanout_settings, in_loop, until
from tests.servers.redis_cluster import AnyRedis


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_dies_takes_the_process_with_it(redis_server: AnyRedis, task: str) -> None:
    """Regression: a process went on without one of its tasks, and looked healthy."""

    async def main() -> None:
        settings = fanout_settings(redis_server.url, auth="on", auth_secret=SECRET)
        env = {name.upper(): str(v) for name, v in settings.model_dump(mode="json").items()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.servers.fanout_broken", task),
            bearer(token("operator", "ann"))["Authorization"],
            env={**os.environ, **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(20):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == EXIT_TASK_DIED, out
        for said in (b"up\n", b"task.died", b"a bug"):
            assert said in out

    in_loop(main())


def test_all_parts_stop_however_it_ends(redis_server: AnyRedis) -> None:
    """Regression: after a failure the connection to Redis and the poll of revocations went on."""

    async def main() -> None:
        closed: dict[str, Any] = {"auth": "on", "auth_secret": SECRET}
        with contextlib.suppress(KeyError):
            async with fanout(redis_server.url, **closed) as server:
                assert len(asyncio.all_tasks()) > 5
                raise KeyError
        assert not server.nodes.wires[0].up
        assert asyncio.all_tasks() == {asyncio.current_task()}

    in_loop(main())


def test_workers_are_in_the_state_that_status_reads(redis_server: AnyRedis, tmp_path: Path) -> None:
    async def main() -> None:
        home: dict[str, Any] = {"fleetline_home": tmp_path, "fanout_workers": 2}
        async with fanout_process(redis_server.url, **home) as (pid, _):
            children = {child.pid for child in psutil.Process(pid).children()}
            state = read_state(state_file(tmp_path, "fanout"))
            assert state is not None
            assert [child.role for child in state.children] == ["fanout-0", "fanout-1"]
            assert {child.pid for child in state.children} == children
        await until(lambda: not state_file(tmp_path, "fanout").exists())

    in_loop(main())
