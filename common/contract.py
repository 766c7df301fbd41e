"""Limits and times that clients are promised: the numbers of the API's contract.

They are no settings. A client that is written against the contract must find them the same in
every installation; changing one is a change of the contract.
"""

from typing import Final, Literal

# Largest body of one fix. A fix has ten short fields; 16 KiB leaves room for what apps add.
BODY_BYTES_MAX: Final = 16_384
# Largest body of many fixes, and most fixes in it: together about 1 KiB a fix.
BATCH_BODY_BYTES_MAX: Final = 1_048_576
BATCH_FIXES_MAX: Final = 1_000
# Largest body that registers an order or brings it into a state: some 300 bytes, and room for more.
ORDER_BODY_BYTES_MAX: Final = 16_384
# 503 comes at the latest 2 s after the request: a reply of Redis that takes longer than this is
# given up, and the rest is for the answer.
REDIS_REPLY_TIMEOUT_S: Final = 1.5
# How long a completed order stays marked as ended. No tracking link works longer than this, or it
# would show the order again.
ORDER_ENDED_TTL_S: Final = 7 * 86_400
# The kinds of vehicles that an order, a way and a plan can name.
Vehicle = Literal["car", "bicycle", "foot"]
