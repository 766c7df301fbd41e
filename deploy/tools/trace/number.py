"""Numbers as files spell them. Pure.

Python's own `float` also takes `1_000`, `nan`, `inf` and the digits of other scripts; JSON and the
API do not.
"""

import math
import re

_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)


def number_of(value: object) -> float | None:
    """A finite number out of a number or its text, with a decimal point or comma; else None."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return None
        value = float(text.replace(",", "."))
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
