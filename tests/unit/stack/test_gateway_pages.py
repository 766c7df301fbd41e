"""What the front door says about its pages: paths, policy, settings."""

import re
from pathlib import Path

import orjson
import pytest

from common.errors import ConfigError
from common.problem import PROBLEMS
from common.settings import load_settings
from deploy.gateway.pages import (
    PAGES,
    WEB,
    config_json,
    find_pages,
    locations,
    page_html,
    policy,
    write_pages,
)
from deploy.servers.packages import leaflet_folder


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return load_settings()


@pytest.mark.parametrize(
    ("tile_url", "images"),
    [
        ("", "img-src 'self' data:"),
        ("/tiles/{z}/{x}/{y}.png", "img-src 'self' data:"),
        ("https://t.example:8443/{z}/{x}/{y}.png", "img-src 'self' data: https://t.example:8443"),
        ("https://{s}.tile.example/{z}/{x}/{y}.png", "img-src 'self' data: https://*.tile.example"),
    ],
)  # fmt: skip
def test_only_the_tile_server_is_let_in(tile_url, images):
    parts = policy(tile_url, "'none'").split("; ")
    assert images in parts
    assert "default-src 'none'" in parts
    assert "script-src 'self'" in parts
    assert "unsafe" not in policy(tile_url, "'none'")


@pytest.mark.parametrize(
    "tile_url",
    [
        "https://tiles.example/{z}/{x}.png",
        "https://a.example; script-src *;/{z}/{x}/{y}",
        'https://a.example"/{z}/{x}/{y}',
        "javascript:alert(1)/{z}/{x}/{y}",
        "https://a.example/{z}/{x}/{y}\nadd_header X y",
        "{z}/{x}/{y}.png",
    ],
)
def test_a_tile_url_that_is_none_is_refused(tile_url):
    with pytest.raises(ConfigError, match="TILE_URL"):
        load_settings(tile_url=tile_url)


def test_pages_name_what_exists_and_nothing_elsewhere():
    pages = find_pages(leaflet_folder())
    for page in PAGES:
        html = page_html(page, pages)
        assert "@" not in html
        paths = re.findall(r'(?:href|src)="([^"]+)"', html)
        assert any(path.endswith(f"/{page}/page.js") for path in paths)
        # Links to the other pages.
        for path in set(paths) - {f"/{other}" for other in PAGES}:
            inner = path.removeprefix(pages.assets + "/")
            assert inner != path
            folder, name = (
                (pages.leaflet, inner.removeprefix("leaflet/"))
                if inner.startswith("leaflet/")
                else (pages.web, inner)
            )
            assert (folder / name).is_file()
        # The policy forbids both.
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", html)


def test_modules_never_write_html_nor_ask_elsewhere():
    for module in WEB.rglob("*.js"):
        text = module.read_text()
        allowed = {"http://www.w3.org/2000/svg"}
        assert set(re.findall(r"https?://[^\s\"'`]+", text)) <= allowed, module
        assert not re.search(r"insertAdjacentHTML|document\.write|\beval\(|Function\(", text)
        assert not re.search(r"\.(innerHTML|outerHTML)\s*=", text), module


def test_the_path_of_the_assets_follows_their_content(monkeypatch, tmp_path):
    leaflet = leaflet_folder()
    before = find_pages(leaflet)
    assert before == find_pages(leaflet)
    changed = tmp_path / "web"
    changed.mkdir()
    (changed / "other.js").write_text("")
    monkeypatch.setattr("deploy.gateway.pages.WEB", changed)
    assert find_pages(leaflet).assets != before.assets


def test_locations_are_whole(settings):
    pages = find_pages(leaflet_folder())
    text = locations(pages, settings)
    assert text.count("{") == text.count("}")
    assert pages.assets in text
    for page, frames in PAGES.items():
        assert f"frame-ancestors {frames}" in text
        assert f"/{page}.html" in text


def test_a_folder_that_nginx_cannot_name_is_refused(settings):
    pages = find_pages(leaflet_folder())
    odd = type(pages)(Path("/a$b"), pages.leaflet, pages.assets)
    with pytest.raises(ConfigError, match="dollar"):
        locations(odd, settings)


def test_what_is_written_for_nginx(settings, tmp_path):
    write_pages(tmp_path / "web", find_pages(leaflet_folder()), settings)
    assert {path.name for path in (tmp_path / "web").iterdir()} == {
        "track.html", "map.html", "fleet.html", "webhooks.html", "config.json",
    }  # fmt: skip
    assert orjson.loads(config_json(settings)) == {
        "tile_url": "", "tile_attribution": "", "stale_age_s": 60, "location_ttl_s": 300,
    }  # fmt: skip


def test_pages_know_failures_by_their_types_alone():
    # They searched the sentences for "taken" and "ended".
    known = {problem.type for problem in PROBLEMS}
    told = {path: re.findall(r"/problems/[a-z-]+", path.read_text()) for path in WEB.rglob("*.js")}
    assert {kind for kinds in told.values() for kind in kinds} <= known
    assert [path.name for path, kinds in told.items() if kinds] == ["problem.js"]
    for path in WEB.rglob("*.js"):
        assert "body.detail" not in path.read_text(), path
