"""Takes the lines that count for metrics out of modules as they are loaded.

Every line must be found exactly as often as it is expected, so a change of the code is noticed.
"""

import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from types import CodeType
from typing import Any

# A line without its indent, and what stands in its place; the text of a line occurs once.
Edit = tuple[str, str]
_WATCH_OFF = "self.watch.read()", "pass"
EDITS: Mapping[str, Sequence[Edit]] = {
    "ingest.http.fast_path": (
        ("took_s = monotonic() - body.begun_at", "pass"),
        ("times.counts[bisect_left(times.bounds, took_s)] += 1", "pass"),
        ("times.total += took_s", "pass"),
    ),
    "ingest.http.request_watch": (
        ("self._answers[route, method, resp.status_code] += 1", "pass"),
        ("times.observe(monotonic() - body.begun_at)", "pass"),
        ('route = req.uri_template or "unknown"', 'route = ""'),
        ('method = req.method if req.method in _METHODS else "other"', "pass"),
    ),
    "ingest.intake.writer.write_turns": (
        ("self._left_s = perf_counter()", "pass"),
        ("self.times.observe(perf_counter() - self._left_s)", "pass"),
        ("self.packs += len(turn.packs)", "pass"),
    ),
    "consumers.live.stage": (_WATCH_OFF, ("self.watch.done(events)", "pass")),
    "consumers.history.stage": (_WATCH_OFF,),
    "consumers.history.settle": (("self._watch.done(decoded.events)", "pass"),),
    "consumers.history.table": (
        (
            "with self._unavailable_on_any_error(), self.times.timed():",
            "with self._unavailable_on_any_error():",
        ),
        ("self.times.rows += stored", "pass"),
        ('self.times.batches["copy"] += 1', "pass"),
        ('self.times.batches["staged"] += 1', "pass"),
    ),
    "fanout.orders.hub": (("self.shown.frames += len(self.live)", "pass"),),
    "fanout.orders.bridge": (
        ("if not self.heard & LOOK_MASK and routed is not None:", "if False:"),
    ),
    # What is written down once a second, and handed to the main process.
    "common.metrics.reporter": (
        ("self._tell(encode_report(os.getpid(), values_of(self._sources)))", "pass"),
    ),
}


def edited(name: str, text: str) -> str:
    """The text of a module without what counts. Raises `ImportError` where a line is missing."""
    lines = text.split("\n")
    for old, new in EDITS[name]:
        places = [n for n, line in enumerate(lines) if line.strip() == old]
        if len(places) != 1:
            raise ImportError(f"{name}: {old!r} stands there {len(places)} times")
        line = lines[places[0]]
        lines[places[0]] = line[: len(line) - len(line.lstrip())] + new
    return "\n".join(lines)


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the edited text; what Python has compiled and kept before is not used."""

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_data(self.path).decode()
        return compile(edited(fullname, text), self.path, "exec")


class _Finder:
    """Finds the modules that are edited."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """As import asks."""
        if name not in EDITS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


def install() -> None:
    """Edit what is imported from now on."""
    sys.meta_path.insert(0, _Finder)
