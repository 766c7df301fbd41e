"""What stands in the memory of another process. For root, or one's own."""

from collections.abc import Sequence
from pathlib import Path

# Of a region so much is read at once; texts that are looked for are much shorter.
PART_BYTES = 16 * 1_048_576


def in_memory(pid: int, texts: Sequence[bytes]) -> set[bytes]:
    """Those of `texts` that the process could read in its own writable memory."""
    found: set[bytes] = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            while begin < end and len(found) < len(texts):
                memory.seek(begin)
                try:
                    part = memory.read(min(PART_BYTES, end - begin))
                except OSError:
                    break
                found |= {text for text in texts if text in part}
                # Half of a text may stand at its end.
                begin += max(1, len(part) - 256) if begin + len(part) < end else len(part) or end
    return found
