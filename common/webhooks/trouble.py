"""Why a delivery was not taken: words that are stored and shown."""

from enum import StrEnum


class Trouble(StrEnum):
    """Why a delivery was not taken. Public, and stored."""

    # It answered, and no: any status but 2xx.
    STATUS = "status"
    # It pointed elsewhere; nobody goes there.
    REDIRECT = "redirect"
    # 410: it wants no more.
    GONE = "gone"
    TIMEOUT = "timeout"
    # Refused, reset, or closed before it answered.
    CONNECTION = "connection"
    # Its name has no address.
    NAME = "name"
    # Its address is not public.
    ADDRESS = "address"
    # It is not who it says, or speaks no TLS that is safe.
    CERTIFICATE = "certificate"
    # What it answered is no HTTP.
    GARBLED = "garbled"
    # The secret was made with a key that is not in WEBHOOK_SECRET.
    KEY = "key"
    # The event is of a newer release.
    UNREADABLE = "unreadable"
    # Not tried to its end: its time was over while nothing could be sent.
    EXPIRED = "expired"
    # Too many waited behind it.
    BACKLOG = "backlog"
    # The event was removed before it could be sent.
    NO_EVENT = "no_event"
