"""Redis commands as bytes."""

from collections.abc import Callable
from typing import Any

import hiredis

# The stub means a tuple of any length.
pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command
