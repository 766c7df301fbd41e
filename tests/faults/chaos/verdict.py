"""The law, and the judge of what is stored. Pure; `service` judges what was waited for.

Every id answered 202 is in the history exactly once, or in the dead letters if it was injected
poison; nothing is there that was not sent; the newest fix of each driver is its live position;
backlog and pending are 0 at the end.
"""

from collections import Counter
from dataclasses import dataclass, field

from tests.faults.chaos.evidence import Evidence, Row
from tests.faults.chaos.fixes import poison_number
from tests.faults.chaos.journal import Told

# Examples kept of each violation.
EXAMPLES = 5
EXAMPLE_CHARS_MAX = 300


@dataclass(slots=True)
class Verdict:
    """Counts, and what breaks the law: name → examples."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    stored: int = 0
    dead_lettered: int = 0
    drivers: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def violate(self, law: str, example: object) -> None:
        """Note a violation."""
        self.counts[law] += 1
        examples = self.violations.setdefault(law, [])
        if len(examples) < EXAMPLES:
            examples.append(str(example)[:EXAMPLE_CHARS_MAX])


def judge(told: Told, found: Evidence) -> Verdict:
    """Compare what was sent with what is there."""
    verdict = Verdict(
        sent=len(told.fixes),
        accepted=sum(bool(sent.accepted) for sent in told.fixes.values()),
        refused=sum(bool(sent.refused) for sent in told.fixes.values()),
    )
    verdict.unknown = sum(not (s.accepted or s.refused) for s in told.fixes.values())
    _judge_history(told, found, verdict)
    _judge_dead(told, found, verdict)
    _judge_live(told, found, verdict)
    if found.backlog or found.pending:
        verdict.violate("not quiet", f"backlog {found.backlog}, pending {found.pending}")
    return verdict


def _judge_history(told: Told, found: Evidence, verdict: Verdict) -> None:
    stored = Counter(row.number for row in found.rows)
    verdict.stored = len(stored)
    for number, times in stored.items():
        if times > 1:
            verdict.violate("doubled", f"fix {number}: {times} rows")
    for number, sent in told.fixes.items():
        if sent.accepted and number not in stored:
            verdict.violate("lost", f"fix {number}: {sent}")
    for row in found.rows:
        sent_as = told.fixes.get(row.number)
        if sent_as is None or (sent_as.driver, sent_as.recorded_us) != (
            row.driver,
            row.recorded_us,
        ):
            verdict.violate("invented", f"{row}; sent as {sent_as}")
        elif sent_as.kind.startswith("bad_"):
            verdict.violate("invented", f"{row} may never be taken: {sent_as}")
        elif sent_as.refused and not (sent_as.accepted or sent_as.unknown):
            verdict.violate("invented", f"{row} was refused")


def _judge_dead(told: Told, found: Evidence, verdict: Verdict) -> None:
    numbers = Counter(map(poison_number, found.dead))
    verdict.dead_lettered = len(found.dead)
    for payload in found.dead:
        if poison_number(payload) not in told.poison_sent:
            verdict.violate("dead-lettered though good", payload[:200])
    for number, times in numbers.items():
        if number is not None and times > 1:
            verdict.violate("poison doubled", f"poison {number}: {times} letters")
    for number in told.poison_there - numbers.keys():
        verdict.violate("poison lost", f"poison {number}")


def _judge_live(told: Told, found: Evidence, verdict: Verdict) -> None:
    newest: dict[str, Row] = {}
    for row in found.rows:
        best = newest.get(row.driver)
        if best is None or row.effective > best.effective:
            newest[row.driver] = row
    verdict.drivers = len(newest)
    for driver, row in newest.items():
        live = found.live.get(driver)
        if live is None or live.effective < row.effective:
            verdict.violate("live is not the newest", f"{live} behind {row}")
        # The same fix that arrived twice may be live as of its second arrival.
        elif live.number != row.number and told.fixes[live.number].kind != "future":
            verdict.violate("live is not the newest", f"{live} is not {row}")
