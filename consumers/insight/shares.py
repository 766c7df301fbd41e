"""Which share of the follower's work a driver belongs to; `consumers.shares` divides them."""

from zlib import crc32

# More than any machine wants processes for this; changing it makes the shares in the tables wrong.
SHARES = 16
# First key of the advisory locks: "insi" as bytes.
LOCK_CLASS = 0x696E7369


def share_of(driver_id: str) -> int:
    """The share of a driver: stable across processes and releases."""
    return crc32(driver_id.encode()) % SHARES
