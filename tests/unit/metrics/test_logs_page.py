"""docs/logs.md knows every error that can be logged, and speaks of no action that is none."""

import ast
import io
import json
import re
from pathlib import Path

import pytest
import structlog

from common import log

ROOT = Path(__file__).parents[3]
WINGS = ("common", "ingest", "consumers", "fanout", "deploy")
LEVELS = ("debug", "info", "warning", "error", "critical")


def actions():
    """Action -> the levels that it is logged with; a repeated failure is a warning."""
    found = {}
    for path in (path for wing in WINGS for path in (ROOT / wing).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            repeated = "Repeated" in {name, getattr(node.func, "id", "")}
            place = 1 if repeated else 0
            if (repeated or name in LEVELS) and len(node.args) > place:
                action = node.args[place]
                if isinstance(action, ast.JoinedStr) and len(action.values) == 2:
                    first = action.values[0]
                    text = f"{first.value}<reason>" if isinstance(first, ast.Constant) else ""
                else:
                    text = action.value if isinstance(action, ast.Constant) else ""
                found.setdefault(text, set()).add("warning" if repeated else name)
    return found


def sections():
    page = (ROOT / "docs/logs.md").read_text()
    parts = re.split(r"^## ", page, flags=re.MULTILINE)
    named = {}
    for part in parts:
        rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", part, re.MULTILINE)
        named[part.partition("\n")[0]] = {x for row in rows for x in re.findall(r"`([^`]+)`", row)}
    return named


def test_every_error_is_documented_with_what_to_do():
    errors = {action for action, levels in actions().items() if levels & {"error", "critical"}}
    assert sorted(errors - sections()["Errors, and what to do"]) == []
    assert sorted(sections()["Errors, and what to do"] - errors) == []


def test_every_warning_that_is_named_exists():
    warnings = {action for action, levels in actions().items() if "warning" in levels}
    assert sorted(sections()["Warnings that alerts speak of"] - warnings) == []


@pytest.fixture
def said():
    """What a process with this style says, as text."""
    text = io.StringIO()

    def say(style):
        log.configure("test", "warning", style)
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(text))
        log.get("here").info("not.said")
        log.get("here").warning("some.action", value="a\nb\x1b[2J\x9b\u2028")
        return text.getvalue()

    yield say
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("style", ["", "json"])
def test_a_line_is_json_where_it_is_for_programs(said, style):
    before = log.lines["warning"]
    line = json.loads(said(style))
    assert (line["event"], line["role"], line["part"]) == ("some.action", "test", "here")
    assert log.lines["warning"] == before + 1


def test_a_line_is_text_where_it_is_for_people(said):
    text = said("text")
    assert "some.action" in text
    assert "\x1b" not in text
    # One line: a value cannot begin another.
    assert text.count("\n") == 1
