"""The shards that a Redis has: of the layout that is written, and of the one before."""

from typing import Any

from common.keys import META
from common.layout import FIELDS, Layout, Layouts, read_layouts
from common.settings import Settings
from common.shards import Shards


def stack_layouts(client: Any, settings: Settings) -> Layouts:
    """What a redis-py client says, or what is set where nothing was started yet."""
    return read_layouts(client.hmget(META, FIELDS)) or Layouts(Layout(settings.shards))


def stack_shards(client: Any, settings: Settings) -> Shards:
    """The shards that are written; `older` are those that are emptied."""
    layouts = stack_layouts(client, settings)
    return Shards(settings.stream_name, *layouts.now, layouts.before)
