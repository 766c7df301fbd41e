"""JSON as phones write it, in two passes. Pure.

Nearly every body is JSON, so it is read strictly first. Only when that fails is it read again
with everything forgiven that leaves no doubt about the rest: one value that is none must not
cost the fixes beside it. What cannot be read becomes null.
"""

import json
import re

import msgspec

from common.event import MALFORMED

_decode_strictly = msgspec.json.Decoder().decode
# A longer integer is garbage; as a float it costs no quadratic time to read.
_INTEGER_DIGITS_MAX = 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What a broken body is searched for. A string is matched first, so that nothing inside one is
# touched; without an end it reaches to the end of the body, so that no text is read twice.
_TOKEN = re.compile(
    r"""
      (?P<string> "(?:[^"\\]|\\.)*+"? )
    | (?P<comma> :\s*[-+]?[0-9]{1,30},[0-9]{1,30}(?=\s*[,}]) )   # "speed": 3,5
    | (?P<nothing> :\s*(?=[,}]) )                                # "speed":,
    | (?P<trailing> ,\s*(?=[\]}]) )
    | (?P<scalar> [-+.A-Za-z0-9_]+ )                             # nan, undefined, +5, .5, 05
    """,
    re.VERBOSE | re.DOTALL,
)
_JSON_SCALAR = re.compile(r"true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{0,30})?|[-+]?\.[0-9]{1,30}")


class NotJson(ValueError):
    """A body that cannot be read as JSON, whatever is forgiven."""


def decode_body(body: bytes) -> object:
    """The value in `body`. Raises `NotJson`."""
    try:
        return _decode_strictly(body)
    except MALFORMED:
        pass
    text = body.removeprefix(_BYTE_ORDER_MARK).rstrip(b"\0 \t\r\n").decode("utf-8", "replace")
    try:
        return _decode_leniently(text)
    except (ValueError, RecursionError):
        pass
    try:
        return _decode_leniently(_TOKEN.sub(_mended, text))
    except (ValueError, RecursionError) as e:
        raise NotJson from e


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _INTEGER_DIGITS_MAX else float(text)


def _no_number(text: str) -> None:
    """NaN, Infinity and -Infinity, which Python would take."""


# Control characters in strings are taken as they are (`strict`), and so are lone surrogates.
_decode_leniently = json.JSONDecoder(
    strict=False, parse_int=_integer, parse_constant=_no_number
).decode


def _mended(match: re.Match[str]) -> str:
    text = match[0]
    match match.lastgroup:
        case "comma":
            return text.replace(",", ".").replace("+", "")
        case "nothing":
            return f"{text}null"
        case "trailing":
            return ""
        case "scalar" if not _JSON_SCALAR.fullmatch(text):
            return repr(float(text)) if _PLAIN_NUMBER.fullmatch(text) else "null"
    return text
