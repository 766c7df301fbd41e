"""What a person sees while both stores are copied: a line that moves, or a line a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn


class Steps:
    """The steps of one command. Use as a context."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            DownloadColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """A step of known length; call what it gives with bytes done, and bytes in all."""
        task = self._progress.add_task(name, total=None, words="")
        yield lambda done, total: self._progress.update(task, completed=done, total=total)
        self._done(name)

    @contextmanager
    def words(self, name: str) -> Iterator[Callable[[str], None]]:
        """A step that says in words what it is at."""
        task = self._progress.add_task(name, total=None, words="")
        yield lambda words: self._progress.update(task, words=words[:60])
        self._progress.update(task, words="")
        self._done(name)

    def _done(self, name: str) -> None:
        self._console.print(f"{name}: done", markup=False)
