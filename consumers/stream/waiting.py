"""What waits in a stream, as far as the worker has seen: the number for the day Redis forgets it.

Pure. The keeper looks once a second; from then on the worker knows what it was handed and what it
settled itself. What was accepted after the last look and never handed out, nobody has seen.
"""

from collections.abc import Sequence

from consumers.stream.entry import RawEntry, id_order


class Waiting:
    """Entries unread and pending: at the last look, and what became of them since."""

    def __init__(self) -> None:
        self._unread = 0
        self._pending = 0
        self._seen_at_s: float | None = None
        self._delivered_through = (0, 0)
        # Newest id and length of each page handed out that the last look did not know of.
        self._pages: list[tuple[tuple[int, int], int]] = []
        # The newest id in the stream at the last look.
        self.through = b"0-0"

    def look(
        self, unread: int, pending: int, *, delivered: bytes, through: bytes, now_s: float
    ) -> None:
        """Redis says what waits; `now_s` is monotonic. Ids: newest handed out, newest of all."""
        self._delivered_through = id_order(delivered)
        # Pages come by another connection: some may have overtaken this look.
        self._pages = [page for page in self._pages if page[0] > self._delivered_through]
        late = sum(count for _, count in self._pages)
        self._unread = max(0, unread - late)
        self._pending = pending + late
        self.through = through
        self._seen_at_s = now_s

    def delivered(self, page: Sequence[RawEntry]) -> None:
        """The worker was handed new entries; some may have been on their way at the last look."""
        if not page:
            return
        count = len(page)
        if id_order(page[0].id) <= self._delivered_through:
            count = sum(id_order(entry.id) > self._delivered_through for entry in page)
        self._pages.append((id_order(page[-1].id), count))
        self._unread = max(0, self._unread - count)
        self._pending += count

    def forget(self) -> None:
        """Redis has forgotten it all, and begins anew."""
        self._unread = self._pending = 0
        self._pages.clear()

    def settled(self, count: int) -> None:
        """`count` entries were acknowledged."""
        self._pending = max(0, self._pending - count)

    def gone(self, held: int) -> int:
        """If the stream is gone: entries seen in it that are not among the `held` in memory."""
        return self._unread + max(0, self._pending - held)

    def age_s(self, now_s: float) -> float | None:
        """How long ago the last look was; None if there was none."""
        return None if self._seen_at_s is None else now_s - self._seen_at_s
