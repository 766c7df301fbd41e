"""A short round of chaos whose seed never changes. `make chaos` runs longer ones."""

import asyncio
import random
from collections import Counter

from tests.faults.chaos.evidence import Evidence, Row, survivors
from tests.faults.chaos.fixes import Fixes, poison, poison_number
from tests.faults.chaos.journal import Journal, Told, read_journal
from tests.faults.chaos.plan import CLUSTER_DECK, DECK, Step, make_plan
from tests.faults.chaos.report import print_report
from tests.faults.chaos.rounds import QUICK, Options, kept_on_failure, run_round
from tests.faults.chaos.verdict import judge
from tests.stack import Stack

SEED = 20
# One after the other and on top of each other: what is killed while something else is frozen.
STEPS = (
    Step(0.4, "kill", "consumer", 1, 0),
    Step(1.1, "cut", "redis", 0, 0),
    Step(1.9, "freeze", "postgres", 0, 1.5),
    Step(2.2, "kill", "consumers", 0, 0),
    Step(3.8, "fill", "redis", 0, 0.8),
    Step(4.1, "kill", "consumer", 2, 0),
    Step(5.2, "kill", "redis", 0, 0),
    Step(5.6, "kill", "ingest-worker", 0, 0),
    Step(6.8, "freeze", "redis", 0, 1.5),
    Step(7.1, "kill", "fanout", 0, 0),
    Step(8.6, "kill", "postgres", 0, 0),
    Step(9.0, "term", "consumer", 3, 0),
    Step(9.4, "kill", "gateway", 0, 0),
    Step(10.1, "kill", "up", 0, 0),
)


def test_a_round_holds_the_law():
    with kept_on_failure() as folder:
        with Stack(folder / "home", extra=QUICK) as stack:
            options = Options(seed=SEED, seconds=11, rate=300, steps=STEPS)
            finished = asyncio.run(run_round(stack, folder, options))
        print_report(finished)
        assert survivors(stack.home) == []
        assert finished.verdict.violations == {}
        # Without these the law would hold for a stack that refuses everything.
        assert finished.verdict.accepted > 1000
        assert finished.verdict.dead_lettered > 5
        assert sum(finished.done.values()) >= len(STEPS) - 2


def test_the_same_seed_makes_the_same_plan_and_deals_everything():
    assert make_plan(7, 600, 4) == make_plan(7, 600, 4)
    assert make_plan(7, 600, 4) != make_plan(8, 600, 4)
    first = Counter((s.verb, s.target) for s in make_plan(7, 600, 4)[: len(DECK)])
    assert first == Counter(DECK)
    dealt = make_plan(7, 600, 4, cards=CLUSTER_DECK)[: len(CLUSTER_DECK)]
    assert Counter((s.verb, s.target) for s in dealt) == Counter(CLUSTER_DECK)
    assert Fixes(7, 5).make(10**15) == Fixes(7, 5).make(10**15)


def test_the_judge_finds_each_violation(tmp_path):
    """A judge that finds nothing would pass every round."""
    fixes = [fix for fix in map(Fixes(1, 3).make, [10**15] * 60) if fix.is_good]
    a, b, c, d, e = fixes[:5]
    journal = Journal(tmp_path / "journal")
    journal.sending([a, b, c, d, e])
    journal.accepted([a, b, c])
    journal.refused([d], 422)
    journal.unknown([e])
    for number in (1, 2):
        journal.poison(number, there=False)
        journal.poison(number, there=True)
    journal.close()
    told = read_journal(journal.path)
    rows = {f.number: Row(f.number, f.driver, f.recorded_us, f.recorded_us + 1) for f in fixes}

    def found(*numbers: int, dead: tuple[bytes, ...], **more: int) -> dict[str, int]:
        here = [rows[n] for n in numbers]
        best: dict[str, Row] = {}
        for row in sorted(here, key=lambda row: row.effective):
            best[row.driver] = row
        return dict(judge(told, Evidence(rows=here, live=best, dead=list(dead), **more)).counts)

    one, two = poison(1, random.Random(1)), poison(2, random.Random(2))
    assert (poison_number(one), poison_number(b"{}")) == (1, None)
    good = (a.number, b.number, c.number)
    assert found(*good, dead=(one, two)) == {}
    assert found(*good, e.number, dead=(one, two)) == {}
    assert found(*good[:2], dead=(one, two)) == {"lost": 1}
    assert found(*good, a.number, dead=(one, two)) == {"doubled": 1}
    assert found(*good, d.number, dead=(one, two)) == {"invented": 1}
    assert found(*good, fixes[5].number, dead=(one, two)) == {"invented": 1}
    assert found(*good, dead=(one,)) == {"poison lost": 1}
    assert found(*good, dead=(one, two, two)) == {"poison doubled": 1}
    assert found(*good, dead=(one, two, b"{}")) == {"dead-lettered though good": 1}
    assert found(*good, dead=(one, two), pending=1) == {"not quiet": 1}
    behind = judge(told, Evidence(rows=[rows[n] for n in good], dead=[one, two]))
    assert behind.counts["live is not the newest"] >= 1
    assert judge(Told(), Evidence()).violations == {}
