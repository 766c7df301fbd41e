"""Which kind of failure an error of COPY or INSERT is, and so what happens to the rows. Pure.

* INFRASTRUCTURE: nothing is wrong with the rows. Hold the batch, back off, count nothing.
* DUPLICATE: a row is stored already. Go through the staging table.
* RECORD: a row can never be stored. Isolate it, count, dead-letter.
* UNKNOWN: could be either. Counted; after some times treated as RECORD.

Only errors of the statements that carry rows are judged here: whatever fails before them (no
connection, no partition) says nothing of a row, whatever its type.

SQLSTATEs: https://www.postgresql.org/docs/18/errcodes-appendix.html
"""

import enum

import asyncpg


class Kind(enum.Enum):
    """See the module."""

    INFRASTRUCTURE = "infrastructure"
    DUPLICATE = "duplicate"
    RECORD = "record"
    UNKNOWN = "unknown"


# Longest prefix wins.
BY_SQLSTATE = {
    "08": Kind.INFRASTRUCTURE,  # connection exception
    "0A": Kind.INFRASTRUCTURE,  # not supported: by this server, whatever the row
    "22": Kind.RECORD,  # data exception: out of range, bad encoding
    "23": Kind.RECORD,  # integrity constraint violation
    "23505": Kind.DUPLICATE,  # unique violation
    "25006": Kind.INFRASTRUCTURE,  # read-only transaction: a standby, or a failover under way
    "26": Kind.INFRASTRUCTURE,  # statement name: a transaction pooler gave us another session
    "28": Kind.INFRASTRUCTURE,  # not authorised: an operator's mistake, not the row's
    "3D000": Kind.INFRASTRUCTURE,  # the database does not exist (yet, or again)
    "40": Kind.INFRASTRUCTURE,  # rollback: serialisation failure, deadlock
    "42": Kind.INFRASTRUCTURE,  # schema, privileges: not migrated yet, or somebody's mistake
    "53": Kind.INFRASTRUCTURE,  # insufficient resources: disk full, too many connections
    "55": Kind.INFRASTRUCTURE,  # not in prerequisite state: locks, startup
    "57": Kind.INFRASTRUCTURE,  # operator intervention: shutdown, statement timeout
    "58": Kind.INFRASTRUCTURE,  # system error: input/output
    "XX": Kind.INFRASTRUCTURE,  # corrupted data or index
    "XX000": Kind.UNKNOWN,  # internal error: a distributed table says so of a row, too
}


def kind_of(error: BaseException) -> Kind:
    """The kind of an error that a statement with rows raised."""
    if isinstance(error, asyncpg.PostgresError):
        return _by_sqlstate(error.sqlstate or "")
    if isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError):
        return Kind.INFRASTRUCTURE
    if isinstance(error, asyncpg.InterfaceError):
        return Kind.INFRASTRUCTURE
    if isinstance(error, TypeError | ValueError | OverflowError):
        # asyncpg could not encode a value.
        return Kind.RECORD
    return Kind.UNKNOWN


def _by_sqlstate(sqlstate: str) -> Kind:
    for length in (5, 2):
        kind = BY_SQLSTATE.get(sqlstate[:length])
        if kind is not None:
            return kind
    return Kind.UNKNOWN
