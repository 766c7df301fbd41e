"""Floods a server with the same bodies again and again, from processes of their own.

They give way to everybody: what is looked for is what they cost the server, not the machine.
"""

import contextlib
import http.client
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

CONNECTIONS = 3


@contextlib.contextmanager
def flooded(
    url: str,
    headers: Mapping[str, str],
    requests: Sequence[tuple[str, bytes]],
    *,
    per_s: float = 1000.0,
) -> Iterator[None]:
    """For the block `requests` (path and body) are sent in turn on each connection, up to `per_s`.

    Begins once each connection has had its first answer.
    """
    plan = {"url": url, "headers": dict(headers), "per_s": per_s}
    plan["requests"] = [[path, len(body)] for path, body in requests]
    started = []
    try:
        for _ in range(CONNECTIONS):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.clients.flood"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            started.append(process)
            assert process.stdin is not None
            process.stdin.write(json.dumps(plan).encode() + b"\n")
            process.stdin.write(b"".join(body for _, body in requests))
            process.stdin.close()
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def post(url: str, path: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of a POST; 0 when the connection was closed before it was read."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    with contextlib.suppress(OSError):
        connection.request("POST", path, body, dict(headers))
    try:
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def main() -> None:
    """What one connection sends, until this process is ended."""
    os.nice(19)
    plan = json.loads(sys.stdin.buffer.readline())
    requests = [(path, sys.stdin.buffer.read(length)) for path, length in plan["requests"]]
    for number, (path, body) in enumerate(itertools.cycle(requests)):
        post(plan["url"], path, body, plan["headers"])
        if number == 0:
            print("up", flush=True)
        time.sleep(1 / plan["per_s"])


if __name__ == "__main__":
    main()
