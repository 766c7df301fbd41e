"""X-Request-Id: what a client calls its request, so that both sides' logs speak of the same. Pure.

It is repeated in the answer, and in the log where a request failed on our side. Plain characters
and a bounded length alone: anything else counts as none.
"""

import re

HEADER = "x-request-id"
_VALID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")


def valid_request_id(text: str | None) -> str:
    """The id, or nothing where there is none that may be repeated."""
    return text if text is not None and _VALID.fullmatch(text) else ""
