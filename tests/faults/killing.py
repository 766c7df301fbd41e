"""Fixes that kill the worker: for tests of who is blamed."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from common.event import decode_event, decode_events
from consumers.history.table import HistoryTable
from consumers.stream import entry as entries
from tests.roles.shard import KEYS, payload

# Seconds that no other fix of the tests has.
DEADLY = (payload(900_001, driver="deadly"), payload(900_002, driver="deadly"))
# All of them have it, also in a process that began at another second.
_MARK = b'"deadly"'


class Killed(BaseException):
    """Stands in for the death of the process."""


def _raise_killed() -> None:
    raise Killed


def _patch_decoding(set_attribute: Callable[..., None], die: Callable[[], None]) -> None:

    def decode_or_die(line):
        if _MARK in line:
            die()
        return decode_event(line)

    def decode_lines_or_die(pack, count):
        if _MARK in pack:
            die()
        return decode_events(pack, count)

    set_attribute(entries, "decode_event", decode_or_die)
    set_attribute(entries, "decode_events", decode_lines_or_die)


def killed_in_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live stage dies of them first."""
    _patch_decoding(monkeypatch.setattr, _raise_killed)


def killed_in_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the history dies of them."""
    store = HistoryTable.store

    async def store_or_die(table, rows, **more):
        if any(row[0] == "deadly" for row in rows):
            _raise_killed()
        return await store(table, rows, **more)

    monkeypatch.setattr(HistoryTable, "store", store_or_die)


def killed_for_real() -> None:
    """From now on decoding one of them ends this process."""
    _patch_decoding(setattr, lambda: os.kill(os.getpid(), signal.SIGKILL))


async def run_until_dead(it, worker, letters: int = 1) -> bool:
    """Run a worker until it has died, or neither of its stages can die any more; whether it died.

    That is when so many dead letters are written and the live stage has read everything.
    """

    async def outlived() -> bool:
        if await it.redis.xlen(KEYS.dead) < letters:
            return False
        last = (await it.redis.xinfo_stream(KEYS.stream))["last-generated-id"]
        return bool(await it.redis.hget(KEYS.cursor, "id") == last)

    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while not running.done() and not await outlived():
            await asyncio.wait((running,), timeout=0.01)
        worker.stop()
        try:
            await running
        except Killed:
            return True
    return False
