"""What a person sees while the number of shards changes."""

import io

from rich.console import Console

from deploy.tools.shards.stage import ReshardStage
from deploy.tools.shards.view import StageView

STAGES = (
    ReshardStage("workers for 16 shards are started", 16, 16),
    ReshardStage("workers for 16 shards are started", 3, 16),
    ReshardStage("workers for 16 shards are started", 0, 16),
    ReshardStage("fixes go to 16 shards"),
    ReshardStage("all is shown; what is left in them is stored", 12_000, 12_000),
    ReshardStage("there are 16 shards, and no others"),
)


def shown(*, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)
    with StageView(console) as view:
        for stage in STAGES:
            view.show(stage)
        view.end()
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def test_without_a_screen_each_stage_is_a_line() -> None:
    assert shown(terminal=False).splitlines() == [
        "workers for 16 shards are started (0 of 16)",
        "fixes go to 16 shards",
        "all is shown; what is left in them is stored (0 of 12,000)",
        "there are 16 shards, and no others",
    ]


def test_on_a_screen_there_is_a_bar_and_stages_that_are_over_stay() -> None:
    said = shown(terminal=True)
    lines = [line for line in said.replace("\x1b[2K", "").splitlines() if line]
    for stage in STAGES:
        assert any(stage.words in line for line in lines)
    assert "(0 of 12,000)" in said
