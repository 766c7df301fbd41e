"""What a person sees while a graph is made or taught: a line that moves, or a line a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class RoadSteps:
    """The steps of one command. Use as a context."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)
        self._name = ""
        self._shown = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """For a block whose steps are of one thing."""
        self._name, self._shown = name, ""
        self._progress.reset(self._task, total=None)
        yield

    def show(self, step: str, done: int = 0, total: int | None = None) -> None:
        """What is done now; again and again, if it may be."""
        words = f"{self._name}: {step}"
        self._progress.update(self._task, description=words, completed=done, total=total)
        if words != self._shown:
            self._shown = words
            if not self._console.is_terminal:
                self._console.print(words, markup=False)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, markup=False)
