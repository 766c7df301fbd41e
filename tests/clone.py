"""A fresh clone of this tree as a new user has it, with an environment that needs no network.

The files are those that a commit of the working tree would have. Installing from the lock files
takes a minute; instead `.venv` shares the packages of the Python that runs the tests, while the
project's own packages come from the clone, as `make` would have linked them.
"""

import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "ingest", "consumers", "fanout", "deploy")
# What pip writes for `[project.scripts]`.
COMMAND = """#!{python}
import sys
from deploy.cli import main
sys.exit(main())
"""


def fresh_clone(folder: Path) -> Path:
    """Make `folder` a clone in which `make` finds nothing to install."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        # The index may name what is gone.
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    _install(folder)
    _require_own_packages(folder)
    return folder


def _install(folder: Path) -> None:
    environment = folder / ".venv"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    inside = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=inside))
    # The clone first. A folder named in a .pth file has its own .pth files ignored, so this
    # tree, which the shared packages link to, is not found through them.
    (packages / "clone.pth").write_text(f"{folder}\n{sysconfig.get_path('purelib')}\n")
    command = environment / "bin" / "fleetline"
    command.write_text(COMMAND.format(python=python))
    command.chmod(0o755)
    (environment / "run.stamp").touch()


def _require_own_packages(folder: Path) -> None:
    """The test would prove nothing if the clone ran the code of this tree."""
    program = f"import {', '.join(PACKAGES)}; print({'.__file__, '.join(PACKAGES)}.__file__)"
    told = subprocess.run(
        (folder / ".venv/bin/python", "-c", program),
        cwd=folder.parent, env={}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(Path(file).is_relative_to(folder) for file in told.stdout.split()), told.stdout
