"""Failures are classified by what happens to the batch."""

import asyncpg
import pytest

from consumers.history.failure import Kind, kind_of


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.ConnectionDoesNotExistError("gone"), Kind.INFRASTRUCTURE),
        (asyncpg.AdminShutdownError("stopping"), Kind.INFRASTRUCTURE),
        (asyncpg.CannotConnectNowError("starting"), Kind.INFRASTRUCTURE),
        (asyncpg.DiskFullError("full"), Kind.INFRASTRUCTURE),
        (asyncpg.TooManyConnectionsError("full"), Kind.INFRASTRUCTURE),
        (asyncpg.DeadlockDetectedError("deadlock"), Kind.INFRASTRUCTURE),
        (asyncpg.SerializationError("again"), Kind.INFRASTRUCTURE),
        (asyncpg.QueryCanceledError("timeout"), Kind.INFRASTRUCTURE),
        (asyncpg.ReadOnlySQLTransactionError("standby"), Kind.INFRASTRUCTURE),
        (asyncpg.UndefinedTableError("not migrated"), Kind.INFRASTRUCTURE),
        (asyncpg.InvalidPasswordError("who?"), Kind.INFRASTRUCTURE),
        (asyncpg.InterfaceError("connection is closed"), Kind.INFRASTRUCTURE),
        (asyncpg.InternalClientError("protocol"), Kind.INFRASTRUCTURE),
        (ConnectionRefusedError(), Kind.INFRASTRUCTURE),
        (TimeoutError(), Kind.INFRASTRUCTURE),
        (asyncpg.UniqueViolationError("again"), Kind.DUPLICATE),
        (asyncpg.CheckViolationError("no"), Kind.RECORD),
        (asyncpg.NotNullViolationError("no"), Kind.RECORD),
        (asyncpg.CharacterNotInRepertoireError("NUL"), Kind.RECORD),
        (asyncpg.NumericValueOutOfRangeError("big"), Kind.RECORD),
        (asyncpg.DataError("cannot encode"), Kind.RECORD),
        (TypeError("must be real number, not str"), Kind.RECORD),
        (OverflowError("date"), Kind.RECORD),
        (asyncpg.RaiseError("a trigger says no"), Kind.UNKNOWN),
        (asyncpg.InternalServerError("a distributed table"), Kind.UNKNOWN),
        (asyncpg.DataCorruptedError("a page"), Kind.INFRASTRUCTURE),
        (asyncpg.InvalidSQLStatementNameError("a pooler"), Kind.INFRASTRUCTURE),
        (asyncpg.UndefinedColumnError("renamed"), Kind.INFRASTRUCTURE),
        (asyncpg.UndefinedFunctionError("not migrated"), Kind.INFRASTRUCTURE),
        (asyncpg.FeatureNotSupportedError("here"), Kind.INFRASTRUCTURE),
        (KeyError("x"), Kind.UNKNOWN),
    ],
)
def test_kinds(error, kind):
    assert kind_of(error) is kind
