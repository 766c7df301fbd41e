"""Something at the end of ROADS_URL that is no engine: the fallback answers, and memory stays."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from structlog.testing import capture_logs

from common.roads.engine import RoadEngine
from common.roads.thin import TraceFix
from common.roads.travel import StraightPaces, Travel
from common.roads.way import Matrix

HERE, THERE = (47.0, 9.0), (47.1, 9.1)
LIMIT = 100_000

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


def plain(body: bytes, *headers: str) -> Say:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)

    return say


def raw(data: bytes) -> Say:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return say


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"2000\r\n" + b"[" * 0x2000 + b"\r\n")
        await writer.drain()


@contextlib.asynccontextmanager
async def speaker(say: Say) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await say(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def asked(say: Say) -> tuple[Matrix, object, object]:
    async def ask() -> tuple[Matrix, object, object]:
        async with speaker(say) as url:
            found = []
            # Each with an engine that nobody has found dead yet.
            for question in (
                lambda travel: travel.matrix([HERE], [HERE, THERE]),
                lambda travel: travel.route([HERE, THERE]),
                lambda travel: travel.match([[TraceFix(0, *HERE), TraceFix(9, *THERE)]]),
            ):
                travel = Travel(RoadEngine({"car": url}), StraightPaces())
                found.append(await question(travel))
                await travel.close()
            return found[0], found[1], found[2]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "say",
    [
        plain(b""),
        plain(b"<html>it works</html>"),
        plain(b'{"code":"Ok"}'),
        plain(b'{"code":7}'),
        plain(b"[" * LIMIT),
        plain(b'{"code":"Ok","sources":"\xff\xfe"}'),
        plain(b"\x1f\x8bnot", "Content-Encoding: gzip"),
        plain(gzip.compress(b"[" * 100 * LIMIT), "Content-Encoding: gzip"),
        plain(b"x" * (LIMIT + 1)),
        raw(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * LIMIT + b"\r\n\r\n"),
        raw(b"SSH-2.0-OpenSSH\r\n"),
        raw(b"\x00" * 64),
        raw(b""),
        endless,
    ],
)
def test_what_is_no_engine_is_answered_by_the_fallback(say, monkeypatch):
    monkeypatch.setattr("common.roads.exchange.ANSWER_BYTES_MAX", LIMIT)
    matrix, way, matched = asked(say)
    assert matrix.method == way.method == "straight"
    assert (matrix.durations_s[0][0], len(matrix.durations_s[0])) == (0.0, 2)
    assert matched is None


def test_one_that_never_answers_is_waited_for_once(monkeypatch):
    monkeypatch.setattr("common.roads.exchange.ANSWER_TIMEOUT_S", 0.2)
    questions = 0

    async def silent(_writer: asyncio.StreamWriter) -> None:
        nonlocal questions
        questions += 1
        await asyncio.Event().wait()

    async def ask() -> None:
        async with speaker(silent) as url:
            travel = Travel(RoadEngine({"car": url}), StraightPaces())
            for _ in range(5):
                assert (await travel.matrix([HERE], [THERE])).method == "straight"
            await travel.close()

    asyncio.run(ask())
    assert questions == 1


def table(metres: float) -> bytes:
    """A matrix of one way, between places that were moved so far onto a road."""
    place = b'{"distance":%g}' % metres
    figures = b'"durations":[[60]],"distances":[[500]]'
    return b'{"code":"Ok","sources":[%b],"destinations":[%b],%b}' % (place, place, figures)


def test_connections_that_all_ended_meanwhile_cost_no_question() -> None:
    # What broke: a question that met one was sent again over another that had ended likewise.
    # Until three connections were made none is free for another question.
    connected = 0
    are_three = asyncio.Event()

    async def first_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        if connected == 3:
            are_three.set()
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            await are_three.wait()
            await plain(table(0))(writer)
            # The next one is read, and not answered.
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def ask() -> list[str]:
        server = await asyncio.start_server(first_only, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        travel = Travel(RoadEngine({"car": url}), StraightPaces())
        async with server:
            kept = await asyncio.gather(*(travel.matrix([HERE], [THERE]) for _ in range(3)))
            last = await travel.matrix([HERE], [THERE])
            await travel.close()
        return [matrix.method for matrix in (*kept, last)]

    assert asyncio.run(ask()) == ["roads"] * 4


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>it works</html>", "an answer that is not OSRM's"),
        (table(9_000_000), "no place is on the graph"),
        (b'{"code":"InvalidUrl","message":"x"}', "InvalidUrl"),
    ],
)
def test_an_engine_that_does_not_fit_is_said_once_until_it_has_helped(body, error) -> None:
    said = [body, body, table(0), body]

    async def say(writer: asyncio.StreamWriter) -> None:
        await plain(said.pop(0), "Connection: close")(writer)

    async def ask() -> Sequence[str]:
        async with speaker(say) as url:
            travel = Travel(RoadEngine({"car": url}), StraightPaces())
            found = [(await travel.matrix([HERE], [THERE])).method for _ in range(4)]
            await travel.close()
            return found

    with capture_logs() as lines:
        assert asyncio.run(ask()) == ["straight", "straight", "roads", "straight"]
    unfit = [line for line in lines if line["event"].startswith("roads.unfit")]
    assert [line["event"] for line in unfit] == ["roads.unfit", "roads.unfit.healed"]
    assert (unfit[0]["vehicle"], unfit[0]["error"], unfit[1]["failures"]) == ("car", error, 2)
