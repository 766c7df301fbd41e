"""redis-py as the tools use it: a wrong URL is one line, and never shows a part of a password."""

import pytest

from common.errors import ConfigError
from common.redis.client import new_async_client, new_client


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec/ret@h:1/0",
        "redis://:sec#ret@h:1/0",
        "redis://u:sec?ret@h:1/0",
        "redis://:sec%2Fret@h:port/0",
        "redis://:sec%2Fret@h:1/name",
        "http://:sec%2Fret@h",
        "redis://:sec%2Fret@h:1/0?socket_timeout=soon",
    ],
)
@pytest.mark.parametrize("new", [new_client, new_async_client])
def test_a_wrong_url_is_refused_without_its_password(new, url):
    """What broke: Python quotes what it took for the port, which was half the password."""
    with pytest.raises(ConfigError, match="REDIS_URL") as refused:
        new(url)
    assert "sec" not in str(refused.value)
    assert "ret" not in str(refused.value)


def test_a_good_url_makes_a_client_that_tries_once():
    with new_client("redis://127.0.0.1:1/0") as client:
        retry = client.get_connection_kwargs()["retry"]
        assert retry.get_retries() == 0
