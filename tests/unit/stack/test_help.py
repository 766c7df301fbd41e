"""What `--help` shows."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from deploy.cli import app

WIDE = {"COLUMNS": "200", "TERMINAL_WIDTH": "200"}


def _all(command: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    children = getattr(command, "commands", {})
    return [words, *(path for name in children for path in _all(children[name], (*words, name)))]


def _found(words: tuple[str, ...]) -> object:
    command: object = get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    return command


@pytest.mark.parametrize("words", _all(get_command(app)), ids=" ".join)
def test_help_shows_every_word_of_each_option(words: tuple[str, ...]) -> None:
    """A default in brackets is no markup, which would be left out."""
    shown = CliRunner().invoke(app, [*words, "--help"], env=WIDE)
    assert shown.exit_code == 0
    said = " ".join(shown.output.replace("│", " ").split())
    for parameter in _found(words).params:  # type: ignore[attr-defined]
        for word in (getattr(parameter, "help", None) or "").replace("`", "").split():
            assert word in said, parameter.name
