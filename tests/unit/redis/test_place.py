"""What REDIS_URL may be."""

import pytest

from common.errors import ConfigError
from common.redis.place import PlaceKind, parse_place
from common.redis.url import RedisUrl


def hosts(servers: tuple[RedisUrl, ...]) -> list[tuple[str, int]]:
    return [(server.host, server.port) for server in servers]


def test_a_plain_url_is_one_server() -> None:
    place = parse_place("rediss://u:p%40w@h:1/2")
    assert (place.kind, hosts(place.servers)) == (PlaceKind.SINGLE, [("h", 1)])
    assert (place.data.user, place.data.password, place.data.db) == ("u", "p@w", 2)
    assert parse_place("unix:///run/redis.sock").data.path == "/run/redis.sock"


def test_a_cluster_is_some_of_its_nodes() -> None:
    place = parse_place("rediss+cluster://u:pw@a:1,b,[::1]:3/0?ssl_ca_certs=/ca.pem")
    assert place.is_cluster
    assert hosts(place.servers) == [("a", 1), ("b", 6379), ("::1", 3)]
    node = place.at("c", 4)
    assert (node.host, node.port, node.user, node.password) == ("c", 4, "u", "pw")
    assert node.tls
    assert node.ca_file == "/ca.pem"


def test_sentinels_name_a_primary() -> None:
    place = parse_place("redis+sentinel://:pw@a,b:2/main/3?sentinel_password=other")
    assert (place.kind, place.name) == (PlaceKind.SENTINEL, "main")
    assert hosts(place.servers) == [("a", 26379), ("b", 2)]
    assert [s.password for s in place.servers] == ["other", "other"]
    assert [s.db for s in place.servers] == [0, 0]
    assert (place.data.password, place.data.db) == ("pw", 3)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+cluster://a/1", "database 0"),
        ("redis+cluster://a?db=1", "database 0"),
        ("redis+cluster://", "needs hosts"),
        ("redis+cluster://u:secret@", "needs hosts"),
        ("redis+sentinel://a", "name"),
        ("redis+sentinel://a/main/x", "database must be a number"),
        ("redis+other://a", "must begin with"),
        ("unix+cluster://a", "must begin with"),
        ("http://a", r"must begin with .* redis\+cluster://"),
        ("redis+cluster://a:b:secret/", "host or port"),
        ("redis+cluster://:secret@a b", "not a host's name"),
    ],
)
def test_what_is_none_is_one_line_without_a_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as found:
        parse_place(url)
    assert "secret" not in str(found.value)
