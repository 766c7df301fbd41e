"""The front door before hosts with names: a real nginx, and a name server that changes its mind."""

import contextlib
import http.client
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.gateway.render import NAME_VALID_S, render
from deploy.servers.gateway import WRITTEN
from deploy.servers.packages import gateway_binary
from tests.servers import free_port
from tests.unit.stack.test_front_door import DOOR
from tests.wait import wait_until


class NameServer:
    """Says one IPv4 address of every name, and no IPv6 address. The address may be changed."""

    def __init__(self, sock: socket.socket) -> None:
        self.address = ""
        self._sock = sock

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = self._sock.recvfrom(512)
                if not query:
                    return
                self._sock.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        """An answer of RFC 1035, section 4; good for ten minutes, as those of containers are."""
        question = query[12 : query.index(b"\0", 12) + 5]
        asked_for_address = question[-4:-2] == b"\0\1"
        found = bool(self.address) and asked_for_address
        record = b"\xc0\x0c\0\1\0\1" + (600).to_bytes(4) + b"\0\4" + socket.inet_aton(self.address)
        head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if found else b"\0\0") + b"\0\0\0\0"
        return head + question + (record if found else b"")


@pytest.fixture
def names() -> Iterator[tuple[NameServer, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        server = NameServer(sock)
        server.address = "127.0.0.2"
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server, sock.getsockname()[1]
        # An empty query ends it.
        sock.sendto(b"", sock.getsockname())
        thread.join()


@contextlib.contextmanager
def container(host: str, port: int) -> Iterator[None]:
    """Something at an address that says which one it is."""
    with socket.create_server((host, port)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65_536)
                        head = (
                            f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(host)}"
                        )
                        connection.sendall(f"{head}\r\n\r\n{host}".encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextlib.contextmanager
def door(folder: Path, config: str) -> Iterator[None]:
    for name in WRITTEN:
        (folder / name).mkdir()
    (folder / "nginx.conf").write_text(config)
    argv = (str(gateway_binary()), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr")
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def ask(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/docs")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()


def test_a_container_that_comes_back_elsewhere_is_found(names, tmp_path):
    # What would break: nginx looks names up once, and a restarted container has another address.
    server, dns_port = names
    listening, behind = free_port(), free_port()
    config = render(
        replace(
            DOOR,
            listen=f"127.0.0.1:{listening}",
            ingest=f"ingest:{behind}",
            fanout=f"fanout:{behind}",
            resolvers=(f"127.0.0.1:{dns_port}",),
        )
    )
    # Sooner than people need it.
    quick = config.replace(f"valid={NAME_VALID_S}s", "valid=1s")
    assert quick != config
    with door(tmp_path, quick):
        with container("127.0.0.2", behind):
            wait_until(lambda: ask(listening) == "127.0.0.2", what="the name")
        server.address = "127.0.0.3"
        with container("127.0.0.3", behind):
            wait_until(lambda: ask(listening) == "127.0.0.3", what="the new address")
