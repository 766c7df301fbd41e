"""The house rules that a machine can hold: sizes, names, words, and files nobody uses."""

import ast
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINES_MAX = 300
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100
# Files side by side: more of them are several ideas, and each has a folder.
SIDE_BY_SIDE_MAX = 16
# Names that say nothing about what is inside.
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "common2", "misc"}
# Marks of unfinished work, and words that belong to how the project is made, not to it.
BANNED_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|breakpoint)\b")


def tracked(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


PYTHON = tracked("*.py")
TEXT = [*PYTHON, *tracked("*.sql", "*.js", "*.css", "*.html", "*.conf*")]


def name_of(path):
    return str(path.relative_to(ROOT))


@cache
def trees():
    """Not while tests are collected, which every process of a run does."""
    return {path: ast.parse(path.read_text()) for path in PYTHON}


DEFINITIONS = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def test_files_and_functions_stay_small():
    long_files = [
        name_of(path) for path in PYTHON if len(path.read_text().splitlines()) > LINES_MAX
    ]
    assert long_files == []
    long_functions = [
        f"{name_of(path)}: {node.name}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long_functions == []


def test_few_files_lie_side_by_side():
    code = [*PYTHON, *tracked("*.js")]
    beside = Counter(name_of(path.parent) for path in code if path.stem != "__init__")
    assert {folder: n for folder, n in beside.items() if n > SIDE_BY_SIDE_MAX} == {}


def test_public_names_say_what_they_are():
    undocumented = []
    for path, tree in trees().items():
        if "tests" in path.relative_to(ROOT).parts:
            continue
        if tree.body and not ast.get_docstring(tree):
            undocumented.append(name_of(path))
        undocumented += [
            f"{name_of(path)}: {node.name}"
            for node in tree.body
            if isinstance(node, DEFINITIONS)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert undocumented == []


def test_no_marks_no_trailing_space_no_long_lines():
    faults = []
    for path in TEXT:
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            too_long = len(line) > COLUMNS_MAX and path.suffix in {".py", ".sql"}
            if too_long or BANNED_WORDS.search(line) or line != line.rstrip():
                faults.append(f"{name_of(path)}:{number}: {line.strip()}")
    assert faults == []


def test_names_say_something():
    assert [name_of(p) for p in PYTHON if p.stem.lower() in BANNED_NAMES] == []


def test_tests_wait_for_conditions_not_for_times():
    sleeping = re.compile(r"\b(time|asyncio)\.sleep\(")
    # The second sets the pace of a load.
    allowed = {"tests/wait.py", "tests/clients/flood.py"}
    found = [
        name_of(path)
        for path in PYTHON
        if "tests" in path.parts
        and name_of(path) not in allowed
        and path != Path(__file__)
        and sleeping.search(path.read_text())
    ]
    assert found == []


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def names_in(tree):
    """Modules that a file imports, or names in a string as a child's argv or Granian's target."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]


def test_every_module_is_used():
    """A file nobody imports is dead, unless it is run. Being tested is not being used."""
    ours, tests_too = set(), set()
    for path, tree in trees().items():
        names = set(names_in(tree))
        tests_too |= names
        ours |= set() if path.relative_to(ROOT).parts[0] == "tests" else names
    commands = "".join(p.read_text() for p in [ROOT / "Makefile", ROOT / "pyproject.toml"])
    dead = []
    for path in PYTHON:
        if path.stem in {"__init__", "__main__", "conftest"} or path.stem.startswith("test_"):
            continue
        module = module_of(path)
        used = tests_too if module.startswith("tests.") else ours
        if module not in used and module not in commands:
            dead.append(module)
    assert dead == []


def test_class_names_are_unique():
    """Each class is one greppable noun."""
    classes = [
        node.name
        for path, tree in trees().items()
        if path.relative_to(ROOT).parts[0] not in {"tests", "bench"}
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert sorted({name for name in classes if classes.count(name) > 1}) == []


LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def test_links_lead_somewhere():
    broken = [
        f"{name_of(path)}: {target}"
        for path in tracked("*.md")
        for target in LINK.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_bytes_of_others_fail_in_more_ways_than_one():
    """msgspec says DecodeError of most, and lets deep nesting and wrong text out as they come."""
    narrow = re.compile(r"except\b.*\bmsgspec\.(DecodeError|MsgspecError)\b")
    found = [
        name_of(path)
        for path in PYTHON
        if "tests" not in path.relative_to(ROOT).parts and narrow.search(path.read_text())
    ]
    assert found == []
