"""A plan on the operators' map, in a real browser: pasted, drawn, and taken away again."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.clients.browser import Visit, any_browser
from tests.stack import Stack

browser = pytest.fixture(scope="module")(any_browser)


def place(north: float, east: float) -> dict[str, float]:
    return {"latitude": 53.40 + north, "longitude": -2.98 + east}


def stop(kind: str, name: str | None, at: dict[str, float], minute: int) -> dict[str, Any]:
    return {
        "type": kind, "id": name, "at": at, "arrival_at": f"2026-03-01T10:{minute:02}:00Z",
        "wait_s": 0, "service_s": 60, "load": [1],
    }  # fmt: skip


def plan() -> dict[str, Any]:
    """Two routes, one of which is known on the roads; a name that is no HTML."""
    first = [stop("start", None, place(0, 0), 0)]
    first += [stop("pickup", "a", place(0.004, 0.006), 5), stop("delivery", "a", place(0.01, 0), 9)]
    second = [stop("start", None, place(0.01, 0.02), 0), stop("job", "b", place(0.002, 0.018), 7)]
    line = [[-2.98, 53.40], [-2.977, 53.401], [-2.974, 53.404], [-2.978, 53.408], [-2.98, 53.41]]
    return {
        "routes": [
            {"vehicle": "van-1", "driver_id": "d1", "stops": first, "duration_s": 600,
             "distance_m": 2100.5, "geometry": {"type": "LineString", "coordinates": line}},
            {"vehicle": "<b>van</b>", "driver_id": None, "stops": second, "duration_s": 480,
             "distance_m": None},
        ],
        "unassigned": [{"id": "order-9", "reason": "no_room"}],
        "cost": 900, "method": "roads", "computed_in_ms": 12,
    }  # fmt: skip


def test_a_plan_is_drawn_with_its_stops(browser: Browser, stack: Stack) -> None:
    with Visit(browser, f"{stack.url}/map", calm=True) as page:
        page.page.evaluate("document.querySelector('#plan').open = true")
        page.page.fill("#plan-text", json.dumps(plan()))
        page.page.click("#plan-show")
        page.await_text("#plan-answer", "2 vehicles, 15 min of travel in all")
        rows = page.page.locator("#plan-list li")
        assert "van-1" in rows.nth(0).inner_text()
        assert "<b>van</b>" in rows.nth(1).inner_text()
        assert rows.nth(2).inner_text() == "order-9: no room left"
        stops = page.page.locator(".plan-stop")
        assert [stops.nth(n).inner_text() for n in range(stops.count())] == ["", "1", "2", "", "1"]
        page.shoot("plan")
        # One route alone, and all again.
        rows.nth(1).locator("button").click()
        assert page.page.locator(".plan-stop").count() == 2
        rows.nth(1).locator("button").click()
        assert page.page.locator(".plan-stop").count() == 5
        page.page.fill("#plan-text", "no plan")
        page.page.click("#plan-show")
        page.await_text("#plan-answer", "neither")
        page.page.click("#plan-clear")
        assert page.page.locator(".plan-stop").count() == 0


def test_what_makes_a_plan_is_planned(browser: Browser, stack: Stack) -> None:
    pytest.importorskip("vroom")
    body = {
        "vehicles": [{"id": "v1", "start": place(0, 0)}],
        "jobs": [{"id": "j1", "at": place(0.01, 0.01)}],
    }
    with Visit(browser, f"{stack.url}/map", calm=True) as page:
        page.page.evaluate("document.querySelector('#plan').open = true")
        page.page.fill("#plan-text", json.dumps(body))
        page.page.click("#plan-show")
        page.await_text("#plan-answer", "1 vehicle,")
        assert page.page.locator(".plan-stop").count() == 2
