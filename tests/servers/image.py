"""Processes of a container image, as runc starts them: a root that is read-only, and no rights.

`TEST_IMAGE` names an image that buildah knows. Processes share the network of this machine; all
else is theirs: they see no other process, and no file but the image's, /tmp and what is mounted.
"""

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy"
# Services of `compose.yaml` that are no roles of ours.
SERVERS = {"redis", "postgres", "prometheus", "grafana"}
STOP_TIMEOUT_S = 20.0


def compose_file() -> dict[str, Any]:
    """`deploy/compose.yaml` as docker compose reads it where no variable is set."""
    text = (FOLDER / "compose.yaml").read_text()
    return dict(yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)))


def compose_roles() -> dict[str, dict[str, Any]]:
    """Its services that are roles, in its order."""
    return {name: one for name, one in compose_file()["services"].items() if name not in SERVERS}


def buildah(*arguments: str) -> str:
    """What buildah says."""
    done = subprocess.run(
        ("buildah", *arguments), capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.strip()


def mounted_image() -> Iterator["Image"]:
    """The image, for a fixture. Skips where there is none, or nothing to run it with."""
    name = os.environ.get("TEST_IMAGE", "")
    if not name or os.geteuid() != 0 or not (shutil.which("buildah") and shutil.which("runc")):
        pytest.skip("TEST_IMAGE names no image, or there is no buildah, runc and root to run it")
    config = json.loads(buildah("inspect", "--type", "image", name))["Docker"]["config"]
    container = buildah("from", name)
    try:
        yield Image(Path(buildah("mount", container)), config)
    finally:
        buildah("rm", container)


class Image:
    """A root and its configuration."""

    def __init__(self, root: Path, config: Mapping[str, Any]) -> None:
        self.root = root
        self.config = config

    def start(
        self, folder: Path, *command: str, env: Mapping[str, str], secrets: Path
    ) -> "Container":
        """A container that runs the command of an image; `folder` is for what belongs to it."""
        folder.mkdir(parents=True)
        told = [*self.config["Env"], *(f"{name}={value}" for name, value in env.items())]
        uid, gid = (int(part) for part in self.config["User"].split(":"))
        bundle = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": uid, "gid": gid},
                "args": [*self.config["Entrypoint"], *command],
                "env": told,
                "cwd": self.config["WorkingDir"],
                "noNewPrivileges": True,
                "capabilities": {},
            },
            "root": {"path": str(self.root), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {
                    "destination": "/tmp",
                    "type": "tmpfs",
                    "source": "tmpfs",
                    "options": ["nosuid", "nodev", "mode=1777", "size=128m"],
                },
                {
                    "destination": "/run/secrets",
                    "type": "bind",
                    "source": str(secrets),
                    "options": ["rbind", "ro"],
                },
            ],
            "linux": {"namespaces": [{"type": name} for name in ("pid", "mount", "ipc", "uts")]},
        }
        (folder / "config.json").write_text(json.dumps(bundle))
        return Container(folder)


class Container:
    """One that runs. Its output stands in its folder."""

    def __init__(self, folder: Path) -> None:
        self.name = f"fleetline-test-{uuid.uuid4().hex[:12]}"
        self._log = folder / "output"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                ("runc", "run", "--bundle", str(folder), self.name),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def said(self) -> str:
        """What its processes wrote."""
        return self._log.read_text(errors="replace")

    def ended(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for its end; the exit status."""
        return self._process.wait(timeout_s)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its user."""
        return subprocess.run(
            ("runc", "exec", self.name, *command),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def is_well(self) -> bool:
        """What its health check says."""
        if self._process.poll() is not None:
            raise RuntimeError(self.said())
        return self.run("python", "-m", "deploy.container.health").returncode == 0

    def stop(self) -> int:
        """SIGTERM to its first process; the exit status."""
        if self._process.poll() is None:
            subprocess.run(("runc", "kill", self.name, "TERM"), check=False, timeout=30)
        try:
            return self.ended()
        except subprocess.TimeoutExpired:
            subprocess.run(("runc", "kill", self.name, "KILL"), check=False, timeout=30)
            self._process.wait(STOP_TIMEOUT_S)
            raise
