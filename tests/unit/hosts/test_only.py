"""`--only 0,2-3`: which shards a host consumes."""

import pytest

from common.errors import ConfigError
from consumers.supervisor import parse_only


@pytest.mark.parametrize(
    ("text", "shards"),
    [("0", {0}), ("0,2-3", {0, 2, 3}), (" 1 , 1-2 ", {1, 2}), ("0-3", {0, 1, 2, 3})],
)
def test_numbers_and_ranges(text: str, shards: set[int]) -> None:
    assert parse_only(text, 4) == shards


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "''"),
        ("0,", "''"),
        ("a", "'a'"),
        ("-1", "'-1'"),
        ("1-", "'1-'"),
        ("3-2", "backwards"),
        ("4", "no shard 4"),
        ("0-9999", "no shard 9999"),
        ("1.5", "'1.5'"),
        ("\u0664", "no shard 4"),
    ],
)
def test_everything_else_is_refused_with_the_part_at_fault(text: str, names: str) -> None:
    with pytest.raises(ConfigError, match="--only") as caught:
        parse_only(text, 4)
    assert names in str(caught.value)
