"""`make chaos`: breaks a running stack on purpose, then judges whether the promise held.

`python -m tests.faults.chaos --minutes 10 --seed 7`. It starts a stack of its own, sends, watches,
kills, freezes, cuts and fills as the seed says, waits for quiet, and compares its journal with
what is stored. Exit status 1 on any violation; logs and journal are kept then.

`--cluster`: Redis is a cluster, whose primaries are lost, moved from and frozen, too. `--only "lose
redis"` deals that card alone; given several times, those.
"""

import argparse
import asyncio
import random
import signal
import sys

from deploy.stack.wiring import CLUSTER_SHARDS
from tests.faults.chaos.evidence import survivors
from tests.faults.chaos.plan import CLUSTER_DECK, DECK
from tests.faults.chaos.report import print_report
from tests.faults.chaos.rounds import QUICK, SHARDS, WATCHED, Options, kept_on_failure, run_round
from tests.stack import Stack


def _options() -> tuple[Options, bool]:
    """What the command line says, and whether Redis is a cluster."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--shards", type=int)
    parser.add_argument("--rate", type=float, default=500.0, help="fixes a second")
    parser.add_argument("--watched", type=int, default=WATCHED, help="orders")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--only", action="append", help="a card, as 'lose redis'")
    given = parser.parse_args()
    deck = CLUSTER_DECK if given.cluster else DECK
    cards = tuple(card for card in deck if not given.only or " ".join(card) in given.only)
    if not cards:
        parser.error(f"--only: cards are {', '.join(sorted({' '.join(card) for card in deck}))}")
    shards = given.shards or (CLUSTER_SHARDS if given.cluster else SHARDS)
    seconds = given.minutes * 60
    options = Options(
        given.seed, seconds, shards=shards, watched=given.watched, rate=given.rate, cards=cards
    )
    return options, given.cluster


def main() -> int:
    """Parse, run, report."""
    options, cluster = _options()
    # A plain stop of this program stops its stack, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"chaos: seed {options.seed}, {options.seconds:g} s, {options.rate:g} fixes/s")
    arguments = ["--shards", str(options.shards), *(["--cluster"] if cluster else [])]
    with kept_on_failure() as folder:
        stack = Stack(folder / "home", *arguments, extra=QUICK)
        with stack:
            finished = asyncio.run(run_round(stack, folder, options))
        for survivor in survivors(stack.home):
            finished.verdict.violate("outlived the stack", survivor)
        print_report(finished)
        if finished.verdict.violations:
            sys.exit(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
