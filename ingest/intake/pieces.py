"""Long work on the event loop, in pieces, with a turn for everybody else between two of them."""

import asyncio
from collections.abc import Iterable


async def in_pieces(work: Iterable[None]) -> None:
    """Run `work` to its end; each of its pauses lets the event loop serve other requests."""
    for _ in work:
        await asyncio.sleep(0)
