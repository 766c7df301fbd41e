"""One question to a road engine and its answer, over HTTP with connections that are kept. Shell.

OSRM ends a connection after 512 requests, or 5 s without one, and an engine that is replaced ends
all of its connections at once. Who sends a question just then loses it. It is sent once more, over
a connection that is made for it: another one that was kept may have ended likewise.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

# An engine on this machine connects at once; it answers the largest question within a second.
CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 3.0
# Questions of one process under way at once; the engine has few threads, others wait here.
CONNECTIONS_MAX = 8
# Before OSRM ends it.
KEPT_S = 4.0
# Largest answer: a way of a thousand kilometres with all its steps is 5 MB.
ANSWER_BYTES_MAX = 32 * 1_048_576


class EngineExchange:
    """Asks any engine. Connections are made when they are needed."""

    def __init__(self) -> None:
        self._kept: aiohttp.ClientSession | None = None

    async def get(self, url: str) -> bytes:
        """The body of the answer, whatever its status: OSRM says in it what is wrong.

        Raises `OSError`, `TimeoutError`.
        """
        import aiohttp  # noqa: PLC0415 - of an extra

        if self._kept is None:
            self._kept = _new_session(is_kept=True)
        try:
            return await _get(self._kept, url)
        except aiohttp.ClientConnectorError as e:
            # Nobody listens there; a second try at once would meet nobody either.
            raise _plain(e) from e
        except aiohttp.ClientError as e:
            if isinstance(e, TimeoutError):
                raise _plain(e) from e
        async with _new_session(is_kept=False) as session:
            try:
                return await _get(session, url)
            except aiohttp.ClientError as e:
                raise _plain(e) from e

    async def close(self) -> None:
        """Close all connections."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()


async def _get(session: "aiohttp.ClientSession", url: str) -> bytes:
    from yarl import URL  # noqa: PLC0415

    async with session.get(URL(url, encoded=True), allow_redirects=False) as response:
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                # Whatever its headers say of it.
                raise OSError("an answer that is too long")
        return bytes(body)


def _plain(error: Exception) -> OSError:
    """What aiohttp says of a failure may hold the URL, and so positions."""
    if isinstance(error, TimeoutError):
        return TimeoutError(type(error).__name__)
    return OSError(type(error).__name__)


def _new_session(*, is_kept: bool) -> "aiohttp.ClientSession":
    import aiohttp  # noqa: PLC0415

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX,
            **({"keepalive_timeout": KEPT_S} if is_kept else {"force_close": True}),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        # Nobody is asked for it, and a small answer may unfold to any size.
        auto_decompress=False,
        # Compressing for this machine would cost more than it spares.
        skip_auto_headers=("accept-encoding", "user-agent"),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=ANSWER_TIMEOUT_S
        ),
    )
