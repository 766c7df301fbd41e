"""The graph with the speeds of an hour: a folder of its own, made by `osrm-customize`.

`osrm-customize` rewrites some of a graph's files. A server may have the same files open, so those
are copied and all others are linked: neither is ever changed under a server.
"""

import asyncio
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from common.errors import FleetlineError
from common.processes.process import set_parent_death_signal
from deploy.roads.build import NICE, last_words
from deploy.roads.executables import RoadPrograms
from deploy.roads.graphs import STEM

# What customizing writes, behind `graph.osrm`.
WRITTEN = frozenset(
    {
        *(".geometry", ".datasource_names", ".cell_metrics", ".mldgr"),
        *(".turn_weight_penalties", ".turn_duration_penalties"),
    }
)
# The largest country takes minutes.
CUSTOMIZE_TIMEOUT_S = 1800.0


class CustomizeFailed(FleetlineError):
    """The engine refused the speeds."""


@dataclass(frozen=True, slots=True)
class HourSpeeds:
    """Files with speeds: those of the hour, and those of the map for streets that take longer."""

    hour: Path
    others: Path | None = None
    longer: float = 1.0

    def write(self, file: Path) -> None:
        """All of them, as `osrm-customize` reads them."""
        with file.open("w") as lines:
            if self.others is not None and self.others.is_file():
                with self.others.open() as others:
                    for line in others:
                        begin, end, kmh = line.split(",")
                        lines.write(f"{begin},{end},{float(kmh) / self.longer:.1f}\n")
            lines.write(self.hour.read_text())


async def customize(programs: RoadPrograms, base: Path, speeds: HourSpeeds, folder: Path) -> Path:
    """A graph like `base` in the new folder, with these speeds; the path without kinds.

    Raises `CustomizeFailed`, `OSError`.
    """
    await asyncio.to_thread(copy_graph, base, folder)
    file = folder / "speeds.csv"
    await asyncio.to_thread(speeds.write, file)
    log = folder / "customize.log"
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            programs.path("osrm-customize"),
            str(folder / STEM),
            "--segment-speed-file",
            str(file),
            "--threads",
            "1",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_before_exec,
        )
    try:
        async with asyncio.timeout(CUSTOMIZE_TIMEOUT_S):
            status = await child.wait()
    except TimeoutError as e:
        raise CustomizeFailed("osrm-customize took too long") from e
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if status != 0:
        raise CustomizeFailed(f"osrm-customize ended with {status}: {last_words(log)}")
    return folder / STEM


def copy_graph(base: Path, folder: Path) -> None:
    """Make `folder` with the files of a graph, in which no change reaches `base`."""
    folder.mkdir(mode=0o700)
    for file in base.parent.iterdir():
        if file.name.removeprefix(STEM) in WRITTEN:
            shutil.copyfile(file, folder / file.name)
        else:
            (folder / file.name).hardlink_to(file)


def _before_exec() -> None:
    os.nice(NICE)
    set_parent_death_signal(signal.SIGKILL)
