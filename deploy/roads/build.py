"""A graph made of a map extract: OSRM's three programs one after the other.

They say how far they are in words that change between releases; so what is shown is the step, and
the time it has taken.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from common.contract import Vehicle
from common.errors import ConfigError, FleetlineError
from common.log import printable
from common.processes.process import set_parent_death_signal
from deploy.roads.executables import RoadPrograms
from deploy.roads.graphs import GRAPH_FILE, STEM, GraphFacts, write_facts

ENDINGS = (".osm.pbf", ".osm.bz2", ".osm")
# Between two looks at a step that runs.
LOOK_EVERY_S = 0.1
# Beside the roles on the same machine a build must not be what they wait for.
NICE = 10
# OSRM's profile of each kind.
PROFILES: dict[Vehicle, str] = {"car": "car.lua", "bicycle": "bicycle.lua", "foot": "foot.lua"}
# Name of a step, for the person who waits.
Show = Callable[[str], None]


class BuildFailed(FleetlineError):
    """A program of the engine refused; its own last words say why."""


def check_extract(file: Path) -> None:
    """Raise `ConfigError` for what is no extract."""
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file")
    if not file.name.endswith(ENDINGS):
        raise ConfigError(f"{file}: must be a map extract ({', '.join(ENDINGS)})")


def build(
    programs: RoadPrograms, extract: Path, vehicle: Vehicle, folder: Path, show: Show
) -> GraphFacts:
    """Make the graph in `folder`. Raises `BuildFailed`."""
    base = folder / "base"
    base.mkdir(mode=0o700)
    stem = str(base / STEM)
    profile = programs.profiles / PROFILES[vehicle]
    # OSRM has no option for where its output goes in all releases, but it goes beside its input.
    link = base / f"graph{_ending(extract)}"
    link.symlink_to(extract.resolve())
    log = folder / "build.log"
    run_program(
        [programs.path("osrm-extract"), "-p", str(profile), str(link)],
        log, lambda: show("reading the map"),
    )  # fmt: skip
    run_program([programs.path("osrm-partition"), stem], log, lambda: show("dividing it"))
    run_program([programs.path("osrm-customize"), stem], log, lambda: show("weighing the ways"))
    link.unlink()
    facts = GraphFacts(
        secrets.token_hex(8), extract.name, extract.stat().st_size, datetime.now(UTC)
    )
    write_facts(folder / GRAPH_FILE, facts)
    return facts


def run_program(argv: list[str], log: Path, waiting: Callable[[], None]) -> None:
    """Run one program to its end; `waiting` is called again and again. Raises `BuildFailed`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_before_exec,  # noqa: PLW1509 - one thread
        )
        try:
            while child.poll() is None:
                waiting()
                time.sleep(LOOK_EVERY_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode != 0:
        name = Path(argv[0]).name
        raise BuildFailed(f"roads: {name} failed: {last_words(log)}")


def last_words(log: Path) -> str:
    """The last line of a program's output, which may hold what an extract holds: text alone."""
    lines = log.read_text(errors="replace").strip().splitlines()
    if not lines:
        return "it said nothing"
    # A C++ program that gives up over an exception begins its last line so.
    return printable(lines[-1].strip().removeprefix("what():").strip()[:500])


def _before_exec() -> None:
    os.nice(NICE)
    set_parent_death_signal(signal.SIGKILL)


def _ending(file: Path) -> str:
    return next(ending for ending in ENDINGS if file.name.endswith(ending))
