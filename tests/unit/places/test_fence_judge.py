"""Judging in pieces, and where the package for it is missing."""

import asyncio

import pytest

from common.errors import InvalidUpdate, Overloaded
from ingest.resources.fences import judge

FENCE = b'{"name": "a", "geometry": {"type": "Point", "coordinates": [1, 2]}, "radius_m": 5}'


def test_without_the_package_it_is_said_once_and_not_soon_again(monkeypatch):
    def absent():
        raise ImportError("No module named 'shapely'")

    monkeypatch.setattr(judge, "_import_judge", absent)
    with pytest.raises(Overloaded, match=r"fleetline\[places\]") as refused:
        asyncio.run(judge.judge_fence("a", FENCE))
    assert refused.value.retry_after_s == 3600
    # What is wrong without it is said all the same.
    with pytest.raises(InvalidUpdate, match="geofence_id"):
        asyncio.run(judge.judge_fence("import", FENCE))


def test_an_import_gives_way_between_features():
    """Fixes share the process: a thousand features in one go held all of them up."""
    feature = b'{"type": "Feature", "id": "f%d", "properties": {"radius_m": 5}, "geometry": %b}'
    point = b'{"type": "Point", "coordinates": [1, 2]}'
    features = b",".join(feature % (n, point) for n in range(500))
    turns = 0

    def beside(loop):
        nonlocal turns
        turns += 1
        loop.call_soon(beside, loop)

    async def both():
        beside(asyncio.get_running_loop())
        body = b'{"type": "FeatureCollection", "features": [%b]}' % features
        return await judge.judge_features(body)

    assert asyncio.run(both()).count('"geofence_id"') == 500
    assert turns >= 500
