"""A real browser for tests: Chromium by Playwright, watched for what must not happen."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, WebSocket, sync_playwright

from tests.wait import wait_until

# Where pictures for a person to look at go, if `PICTURES` is set: they take a second each.
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
SIZES = {"360": (360, 740), "desktop": (1280, 800)}
SCHEMES = ("light", "dark")
# What a page may wait for on a busy machine.
TIMEOUT_MS = 20_000
# What Chromium itself writes when the network or the server is gone; no script can prevent it.
OUTAGE_WORDS = ("WebSocket connection to", "Failed to load resource")
# An order as a resource, at which Chromium notes a 404.
ORDER = re.compile(r"/api/v1/orders/[^/]+$")


def chromium_path() -> str | None:
    """Debian's Chromium, or another of that name."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A running browser. Its driver runs an event loop, so nothing else may in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def any_browser() -> Iterator[Browser]:
    """The fixture `browser` of a module, which is skipped where there is none.

    Of a module, not of the session: other tests run event loops of their own.
    """
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium is installed")
    with chromium(path) as running:
        yield running


class Visit:
    """One person's look at one page. Leaving fails on errors and on requests to elsewhere."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        size: str = "desktop",
        outage: bool = False,
        calm: bool = False,
    ) -> None:
        self.url = url
        self.host = urlsplit(url).netloc
        # Whether failed connections are part of what is tested.
        self.outage = outage
        self.errors: list[str] = []
        self.requested: list[str] = []
        self.sockets: list[WebSocket] = []
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            reduced_motion="reduce" if calm else "no-preference",
        )
        self.context.set_default_timeout(TIMEOUT_MS)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        self.page.on("request", self._note)
        self.page.on("websocket", self._note_socket)

    def __enter__(self) -> Self:
        self.page.goto(self.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.context.close()
        if kind is None:
            assert self.errors == []
            elsewhere = {url for url in self.requested if urlsplit(url).netloc != self.host}
            assert elsewhere == set()

    def _hear(self, message: ConsoleMessage) -> None:
        expected = self.outage and message.text.startswith(OUTAGE_WORDS)
        # The page asks for the order; nobody need have registered it.
        expected |= "404" in message.text and bool(ORDER.search(message.location["url"]))
        if message.type in {"error", "warning"} and not expected:
            self.errors.append(message.text)

    def _note(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.requested.append(request.url)

    def _note_socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        self.requested.append(socket.url)

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.page.locator(selector).inner_text()

    def await_mode(self, mode: str) -> None:
        """Wait until the customer's page is in a state."""
        self.page.wait_for_selector(f'body[data-mode="{mode}"]', state="attached")

    def await_text(self, selector: str, words: str) -> None:
        """Wait until an element holds these words."""
        self.page.locator(selector).filter(has_text=words).wait_for()

    def evaluate(self, script: str) -> Any:
        """Run a script in the page."""
        return self.page.evaluate(script)

    def newest_socket(self) -> str:
        """The address of the socket opened last. Events are only heard during a call."""
        self.evaluate("0")
        return self.sockets[-1].url

    def await_true(self, script: str) -> None:
        """Wait for a condition; Playwright's own way needs eval, which the page forbids."""
        wait_until(lambda: self.evaluate(script), timeout_s=TIMEOUT_MS / 1000, what=script)

    def shoot(self, name: str, sizes: Iterable[str] = tuple(SIZES)) -> None:
        """Pictures of how it looks now: narrow and wide, light and dark."""
        if "PICTURES" not in os.environ:
            return
        ARTIFACTS.mkdir(exist_ok=True)
        for size in sizes:
            width, height = SIZES[size]
            self.page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                self.page.screenshot(path=ARTIFACTS / f"{name}-{size}-{scheme}.png")
