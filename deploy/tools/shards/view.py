"""What a person sees while the number of shards changes: a bar, or lines without a screen."""

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.tools.shards.stage import ReshardStage

# Between two lines of one stage.
LINE_EVERY_S = 5.0


class StageView:
    """Shows stages. Use as a context."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, count="")
        self._last = ReshardStage("")
        self._line_at_s = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, stage: ReshardStage) -> None:
        """A stage as it is now. One that cannot be counted, and each that begins, is a line."""
        is_new = stage.words != self._last.words
        now_s = time.monotonic()
        if self._console.is_terminal:
            if is_new:
                # The bar is of one stage, and those before stay as lines.
                self._print(self._last.words)
                self._progress.reset(self._task)
            self._progress.update(
                self._task,
                description=stage.words,
                total=stage.total or None,
                completed=stage.total - stage.left,
                count=_count(stage),
            )
        elif is_new or (stage.left != self._last.left and now_s >= self._line_at_s):
            self._line_at_s = now_s + LINE_EVERY_S
            self._print(" ".join(filter(None, (stage.words, _count(stage)))))
        self._last = stage

    def end(self) -> None:
        """No more stages: the last stays to be read."""
        if self._console.is_terminal:
            self._print(self._last.words)
            self._last = ReshardStage("")

    def _print(self, line: str) -> None:
        if line:
            self._console.print(line, markup=False)


def _count(stage: ReshardStage) -> str:
    return f"({stage.total - stage.left:,} of {stage.total:,})" if stage.total else ""
