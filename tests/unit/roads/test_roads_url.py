"""ROADS_URL."""

import pytest

from common.roads.urls import parse_roads_url


def test_a_bare_url_is_that_of_cars():
    assert parse_roads_url("http://10.0.0.7:5000/") == {"car": "http://10.0.0.7:5000"}
    assert parse_roads_url("") == {}


def test_each_kind_may_have_its_own():
    urls = parse_roads_url("car=http://a:5000, bicycle=https://b/osrm/,foot=http://[::1]:5002")
    assert urls == {
        "car": "http://a:5000",
        "bicycle": "https://b/osrm",
        "foot": "http://[::1]:5002",
    }


@pytest.mark.parametrize(
    "wrong",
    ["10.0.0.7:5000", "tank=http://a", "ftp://a", "http://", "http://a?x=1", "http://a b", "car=",
     "http://a,car=http://b"],
)  # fmt: skip
def test_what_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="ROADS_URL"):
        parse_roads_url(wrong)


def test_it_is_said_which_part_is_wrong():
    with pytest.raises(ValueError, match="names 'tank', which is none of car, bicycle, foot"):
        parse_roads_url("car=http://a,tank=http://b")
    with pytest.raises(ValueError, match="that of foot must be http"):
        parse_roads_url("car=http://a,foot=ftp://b")
