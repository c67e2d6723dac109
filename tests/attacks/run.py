"""``make attack``: the random caller plays many sequences, on every core, and the oracle judges each of them.

Prints the seed, the rate, what was reached (so that nobody takes a crowd that never gets anywhere for a proof), and every
violation with the seed that shows it again: ``python tests/attacks/run.py --seed N --number 1``.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks.caller import playing, sequence
from attacks.oracle import lines_of, violations
from pilothouse.errors import PilothouseError
from pilothouse.guard.fold import fold
from pilothouse.guard.product import fold_product
from pilothouse.ledger.chain import verify

BATCH = 500  # sequences a task
REACHED = ("Intended", "Approved", "Failed", "Halted", "Branched", "HoldLifted", "Settled", "Rejected", "WatchClosed")


def judged(game):
    """What a game broke: the oracle's laws, and that every ledger verifies and folds."""
    found = violations(game)
    checked = verify(game.journal.entries("acme"), "acme")
    found += [f"ledger: {problem.message}" for problem in checked.problems]
    events = game.journal.read("acme")
    try:
        for number in range(1, game.run + 1):
            fold(event for event in events if event.run == f"r-{number}")
        fold_product(events)
    except PilothouseError as error:
        found.append(f"ledger: it does not fold: {error.message}")
    return found


def attack(first, number, hostility=None):
    """Play sequences of consecutive seeds; counts of what was reached, and violations with their seeds."""
    reached, broken = Counter(), []
    with playing():
        for seed in range(first, first + number):
            try:
                game = sequence(seed, hostility)
            except Exception as error:  # what is not a typed refusal is a bug that an attacker found
                where = traceback.extract_tb(error.__traceback__)[-1]
                broken.append(
                    (seed, f"crash: {type(error).__name__}: {error} at {Path(where.filename).name}:{where.lineno}")
                )
                continue
            broken += [(seed, why) for why in judged(game)]
            reached["sequences"] += 1
            reached["effects"] += len(game.tools.landed)
            reached["production effects"] += sum(e.arguments["environment"] == "production" for e in game.tools.landed)
            for line in lines_of(game.journal).values():
                reached.update(kind for _, kind, _, _ in line.rows if kind in REACHED)
                reached.update(f"Ended {fact['outcome']}" for _, kind, fact, _ in line.rows if kind == "Ended")
    return reached, broken


def _task(task):
    return attack(*task)


def main():
    """Return 0 where nothing was broken."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--number", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=None, help="of the first sequence; the others follow it")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = options.parse_args()
    seed = secrets.randbelow(2**40) if chosen.seed is None else chosen.seed
    print(f"{chosen.number} sequences from seed {seed}, {chosen.jobs} at a time", flush=True)
    tasks = [(seed + at, min(BATCH, chosen.number - at)) for at in range(0, chosen.number, BATCH)]
    reached, broken, began = Counter(), [], time.monotonic()
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for done, (counts, found) in enumerate(pool.map(_task, tasks), 1):
            reached += counts
            broken += found
            for at, why in found:
                print(f"  seed {at}: {why}", flush=True)
            if done % 20 == 0:
                print(f"  {min(done * BATCH, chosen.number)} played, {len(broken)} violations", flush=True)
    seconds = time.monotonic() - began
    print(f"{reached['sequences']} sequences in {seconds:.0f} s: {reached['sequences'] / seconds * 60:.0f} a minute")
    print(", ".join(f"{name} {count}" for name, count in reached.most_common()))
    print(f"{len(broken)} violations")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
