"""Who used how much CPU and memory: from the processes' own accounts in /proc, by role.

CPU time holds on a noisy machine where wall time does not: what a fix costs each role can be
compared between runs even when others use the same cores.
"""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Account:
    """A line of /proc/<pid>/stat: seconds of CPU of the process and of its reaped children."""

    parent: int
    own_s: float
    reaped_s: float
    rss_bytes: int


def parse_stat(text: str) -> Account:
    """Read the text of /proc/<pid>/stat; fields are numbered in proc_pid_stat(5)."""
    # The name in parentheses may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    ticks = [int(field) for field in fields[11:15]]
    return Account(
        parent=int(fields[1]),
        own_s=(ticks[0] + ticks[1]) / TICKS_PER_S,
        reaped_s=(ticks[2] + ticks[3]) / TICKS_PER_S,
        rss_bytes=int(fields[21]) * PAGE_BYTES,
    )


def accounts() -> dict[int, Account]:
    """All processes of this machine that can be read now."""
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - Path objects for every process are waste
        if name.isdigit():
            try:
                found[int(name)] = parse_stat(Path(f"/proc/{name}/stat").read_text())
            except OSError:
                continue
    return found


def family(root: int, all_accounts: Mapping[int, Account]) -> set[int]:
    """`root` and everything below it."""
    children: dict[int, list[int]] = {}
    for pid, account in all_accounts.items():
        children.setdefault(account.parent, []).append(pid)
    found, todo = set(), [root]
    while todo:
        pid = todo.pop()
        if pid in all_accounts and pid not in found:
            found.add(pid)
            todo += children.get(pid, ())
    return found


def cpu_by_role(roots: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """Seconds of CPU used so far by the processes below each role's roots."""
    known = accounts()
    return {
        role: sum(
            known[pid].own_s + known[pid].reaped_s for root in pids for pid in family(root, known)
        )
        for role, pids in roots.items()
    }


def run_s(root: int) -> float:
    """CPU of the threads that `root` and everything below it have now, to the nanosecond."""
    pids = family(root, accounts())
    lines = [p.read_text() for pid in pids for p in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(line.split()[0]) for line in lines) / 1e9


@dataclass(frozen=True, slots=True)
class Machine:
    """Seconds that all cores were busy since boot, and those of them that were ours."""

    busy_s: float
    own_s: float
    at_s: float


def machine_now() -> Machine:
    """The whole machine and this process with everything below it."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, fields[:8])
    busy = user + nice + system + irq + softirq + steal
    own_s = cpu_by_role({"bench": [os.getpid()]})["bench"]
    return Machine(busy / TICKS_PER_S, own_s, time.monotonic())


def others_share(before: Machine, after: Machine, cores: int) -> float:
    """Share of all cores that went to processes which are not ours, or were stolen from us."""
    span_s = (after.at_s - before.at_s) * cores
    if span_s <= 0:
        return 0.0
    others_s = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return round(min(1.0, max(0.0, others_s / span_s)), 3)


def rss_bytes(root: int) -> int:
    """Resident memory of `root` and everything below it; shared pages count more than once."""
    known = accounts()
    return sum(known[pid].rss_bytes for pid in family(root, known))


def per_fix_us(
    before: Mapping[str, float], after: Mapping[str, float], fixes: int
) -> dict[str, float]:
    """Microseconds of CPU for each fix, by role; roles that did nothing are left out."""
    found = {}
    for role, end_s in after.items():
        used_s = end_s - before.get(role, 0.0)
        if fixes and used_s > 0:
            found[role] = round(used_s / fixes * 1e6, 2)
    return found
