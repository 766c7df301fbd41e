"""The HTTP client of one webhook: one POST, bounded in time and bytes, to public addresses alone.

The rule about addresses is asked with the very address of each connection, after the name was
resolved and just before the socket connects. So no name can be public when it is judged and
private when it is used, and it does not matter how an address is spelled.
"""

import asyncio
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from common.webhooks.address import is_public
from common.webhooks.trouble import Trouble
from consumers.hooks.outcome import Attempt, retry_after_s, trouble_of
from consumers.hooks.pace import CONCURRENCY

# From the start to the status. Standard Webhooks recommend 15 to 30 s.
TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
# What is read of an answer so that its connection can be used again, and how long that may take;
# the answer itself says nothing to us.
ANSWER_BYTES_MAX = 4096
ANSWER_TIMEOUT_S = 1.0
# Most servers keep an idle connection for five seconds or more; one they close is a failed try.
KEEPALIVE_S = 4.0
# As the resolvers that everybody uses keep an address, and no longer.
DNS_CACHE_S = 10
AGENT = "Fleetline-Webhooks/1"


class _NotPublic(OSError):
    """An address that must not be connected to."""

    def __init__(self) -> None:
        # The same text each time: several of them become one.
        super().__init__("not a public address")


class WebhookClient:
    """Posts to one webhook over connections of its own. Use as a context."""

    def __init__(self, *, private: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        connector = aiohttp.TCPConnector(
            limit=CONCURRENCY,
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=DNS_CACHE_S,
            socket_factory=_any_socket if private else _public_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # An answer is not unpacked: a small one could hold gigabytes.
            auto_decompress=False,
            # A proxy would connect where we must not.
            trust_env=False,
            headers={"user-agent": AGENT, "content-type": "application/json"},
            skip_auto_headers=("accept", "accept-encoding"),
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S),
            read_bufsize=2 * ANSWER_BYTES_MAX,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """One attempt. Never raises but for a bug."""
        begin_s = time.monotonic()
        status, wait_s = None, 0.0
        try:
            async with self._session.post(
                # As it was given: nothing of it is written in another way.
                URL(url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                status = response.status
                trouble = trouble_of(status)
                if trouble is not None:
                    asked = response.headers.get("retry-after")
                    wait_s = retry_after_s(asked, datetime.now(UTC))
                await _read_rest(response)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as e:
            trouble = _trouble_of(e)
        took_ms = round((time.monotonic() - begin_s) * 1000)
        return Attempt(trouble, status, took_ms, wait_s)


async def _read_rest(response: aiohttp.ClientResponse) -> None:
    """Read a short answer to its end; of any other the connection is closed. The status stands."""
    left = ANSWER_BYTES_MAX
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while left > 0 and (part := await response.content.read(left)):
                left -= len(part)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        left = 0
    if left <= 0:
        response.close()


def _trouble_of(error: Exception) -> Trouble:
    found: Trouble = Trouble.CONNECTION
    kinds: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Trouble], ...] = (
        (TimeoutError, Trouble.TIMEOUT),
        (aiohttp.ClientConnectorDNSError, Trouble.NAME),
        ((aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch), Trouble.CERTIFICATE),
        (aiohttp.InvalidURL, Trouble.NAME),
        (aiohttp.ClientResponseError, Trouble.GARBLED),
        (aiohttp.ClientError, Trouble.CONNECTION),
        (UnicodeError, Trouble.NAME),
    )
    if isinstance(getattr(error, "os_error", error), _NotPublic):
        return Trouble.ADDRESS
    for kind, trouble in kinds:
        if isinstance(error, kind):
            return trouble
    return found


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    """The socket for an address that is about to be connected to."""
    address = info[4]
    if info[0] not in (socket.AF_INET, socket.AF_INET6) or not is_public(_numeric(address)):
        raise _NotPublic
    return _any_socket(info)


def _numeric(address: tuple[Any, ...]) -> str:
    # The scope of an IPv6 address means this machine's own networks.
    scoped = len(address) == 4 and address[3]
    return f"{address[0]}%{address[3]}" if scoped and "%" not in address[0] else address[0]


def _any_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, *_ = info
    return socket.socket(family, kind, protocol)
