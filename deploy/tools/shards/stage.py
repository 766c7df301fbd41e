"""What a change of the number of shards is at. Pure."""

from collections.abc import Callable
from typing import NamedTuple


class ReshardStage(NamedTuple):
    """In words; and how far it is, where that can be counted: `left` of `total`."""

    words: str
    left: int = 0
    total: int = 0


Say = Callable[[ReshardStage], None]
