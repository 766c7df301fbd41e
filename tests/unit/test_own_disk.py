"""Roles that may run on many hosts keep nothing on a disk: no host needs another's."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROLES = ("ingest", "fanout", "consumers")
WRITES = {
    "mkdir", "makedirs", "mkdtemp", "mkstemp", "NamedTemporaryFile", "rename", "symlink_to",
    "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip
# The folder of a state file that only `fleetline status` of the same machine reads.
KNOWN = {("fanout/workers.py", "mkdir")}


def writes(path: Path) -> set[str]:
    """Names of calls in a file that would write to a disk."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        mode = [a.value for a in [*node.args, *(k.value for k in node.keywords)]
                if isinstance(a, ast.Constant) and isinstance(a.value, str)]  # fmt: skip
        opens = name == "open" and any(set(text) <= set("rwxabt+") for text in mode)
        if name in WRITES or (opens and any(set(text) & set("wax+") for text in mode)):
            found.add(name)
    return found


def test_ingest_fan_out_and_consumers_write_no_file() -> None:
    """What lasts is in Redis and the database; supervisors note what runs, for this machine."""
    found = {
        (str(path.relative_to(ROOT)), name)
        for role in ROLES
        for path in (ROOT / role).rglob("*.py")
        for name in writes(path)
    }
    assert found == KNOWN


def test_a_call_that_writes_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text("path.write_text('x')\nopen(p, 'w')\npath.open('ab')\nopen(p)\nx.open('rb')\n")
    assert writes(file) == {"write_text", "open"}
    file.write_text("door.open(host, 8000)\nlogs.open('file')\npath.read_text()\n")
    assert writes(file) == set()
