"""Two databases, on each kind of server that tests run on."""

from collections.abc import Iterator

import pytest

from tests.roles.several import two_databases
from tests.servers.postgres import Databases


@pytest.fixture
def pair(databases: Databases) -> Iterator[tuple[str, str]]:
    """The first and the second of two, empty."""
    with two_databases(databases, databases) as urls:
        yield urls
