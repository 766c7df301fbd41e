"""Where OSRM's programs are: of the package osrm-bindings, or of the machine.

Its wheel is for Python 3.12 and later, its programs run beside any Python. So `make roads` lays
the wheel's files beside the virtual environment, where they are no package of it.
"""

import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from common.errors import ConfigError

# Beside the interpreter: where `make roads` puts the wheel's files.
SHARE = Path(sys.prefix) / "share" / "fleetline-osrm"
MISSING = "the road engine's programs are not installed (make roads; or OSRM itself, in PATH)"
PROGRAMS = ("osrm-extract", "osrm-partition", "osrm-customize", "osrm-routed")
# OSRM's names of the profiles, which are ours but for one, are files here.
_PROFILE_FOLDERS = ("/usr/share/osrm/profiles", "/usr/local/share/osrm/profiles", "/opt/profiles")


@dataclass(frozen=True, slots=True)
class RoadPrograms:
    """The folders of the programs and of the profiles."""

    folder: Path
    profiles: Path

    def path(self, name: str) -> str:
        """One of PROGRAMS."""
        return str(self.folder / name)


def find_programs() -> RoadPrograms | None:
    """The first place that has them all; None: they are not installed."""
    for folder in _folders():
        if all((folder / name).is_file() for name in PROGRAMS):
            profiles = _profiles(folder)
            if profiles is not None:
                return RoadPrograms(folder, profiles)
    return None


def require_programs() -> RoadPrograms:
    """The programs. Raises `ConfigError` where they are not installed."""
    programs = find_programs()
    if programs is None:
        raise ConfigError(f"roads: {MISSING}")
    return programs


def _folders() -> list[Path]:
    found = [SHARE / "osrm" / "bin"]
    spec = find_spec("osrm")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "bin")
    in_path = shutil.which("osrm-routed")
    if in_path is not None:
        found.append(Path(in_path).resolve().parent)
    return found


def _profiles(folder: Path) -> Path | None:
    near = (folder.parent / "share" / "profiles", folder.parent / "profiles")
    places = (*near, folder.parent / "share" / "osrm" / "profiles", *map(Path, _PROFILE_FOLDERS))
    return next((place for place in places if (place / "car.lua").is_file()), None)
