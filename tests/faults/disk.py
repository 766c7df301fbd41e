"""A small disk for a server under test, which can be full and have room again. Needs root."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MB = 1_048_576


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    """A disk of that size on `folder` for the block. Skips the test where none can be had."""
    mounting = ("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "fleetline-test", str(folder))
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small disk here: that needs root")
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def grow(folder: Path, size_mb: int) -> None:
    """Make it larger, with all that is on it."""
    subprocess.run(("mount", "-o", f"remount,size={size_mb}m", str(folder)), check=True)


@contextlib.contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """For the block no room is left; what is free goes into one file."""
    file = folder / "ballast"
    with file.open("wb") as taken:
        free = os.statvfs(folder)
        os.posix_fallocate(taken.fileno(), 0, free.f_bavail * free.f_frsize)
    try:
        yield
    finally:
        file.unlink()
