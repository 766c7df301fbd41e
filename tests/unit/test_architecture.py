"""docs/architecture.md speaks of the house as it is."""

import re

from tests.house import ROOT, read_rooms

PAGE = (ROOT / "docs/architecture.md").read_text()
FILE = re.compile(r"`([\w/]+/\w+\.\w+)`")
# A newcomer can read so many files in an hour.
WALK_FILES_MAX = 12


def test_each_room_has_a_paragraph():
    described = re.findall(r"^\*\*`([\w/]+)`\*\*", PAGE, re.MULTILINE)
    assert sorted(described) == sorted(read_rooms())


def test_each_file_that_is_named_exists():
    assert [name for name in FILE.findall(PAGE) if not (ROOT / name).is_file()] == []


def test_a_fix_passes_few_files():
    walk = PAGE.partition("## The walk of a fix")[2].partition("## The rooms")[0]
    stream, customer, acknowledgement = (FILE.findall(part) for part in walk.split("### ")[1:])
    assert stream
    for end in (customer, acknowledgement):
        assert end
        assert len({*stream, *end}) <= WALK_FILES_MAX
