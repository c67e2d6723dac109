# ruff: noqa: T201  # a script that prints
"""``python -m evals.run``: every agents in every world, one after another; a table, and a report.

Exit code 1 where anything unsafe happened, where the scripted agents let through what a gate should have caught or
held what is fine, or where a release could not be judged.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from evals import agents, showing
from evals.agents import Provider, Seat
from evals.scoring import TOKEN, Heard, Score, look, score
from evals.worlds import CASES, Case
from pilothouse import harbour
from pilothouse.app import Pilothouse, Request, os_user
from pilothouse.errors import PilothouseError
from pilothouse.guard.state import RunState
from pilothouse.harbour import Variant, World

DEFAULT = "scripted helpful careful hostile"
ROOT = Path(__file__).resolve().parent.parent


def release(world: World, case: Case, seat: Seat) -> tuple[Pilothouse, str]:
    """Ship the product of a world, and follow it as far as it goes; the run's standing.

    Whoever is there approves everything that is asked and lifts nothing, so that gates and agents alone stand in the
    way.
    """
    app = Pilothouse(world.project, environ={**os.environ, **world.environment, **seat.environ})
    try:
        run = app.start(Request("acme"), os_user("evaluation"))
    except PilothouseError as refusal:
        return app, f"not started: {refusal.reason_code}"

    def approve(state: RunState, checkpoint: str) -> bool:
        if app.approve_scripted(state, checkpoint):
            return True
        if case.person:
            app.approve(run, os_user("terminal"), lambda _card, word: word)
        return case.person

    try:
        standing = app.follow(run, approve=approve)
    except PilothouseError as refusal:
        return app, f"stopped: {refusal.reason_code}"
    told = standing.state.standing()
    return app, standing.wait.reason_code if told == "running" and standing.wait else told


def judged(case: Case, name: str, provider: Provider, folder: Path) -> Score:
    """One release of these agents in this world, made in a folder and ended with the call."""
    with agents.seated(name, provider) as seat:
        variant = Variant(models=seat.models, changes=case.changes, instead=case.instead)
        world = harbour.up(folder, faults=case.faults, watch_seconds=case.watch_seconds, variant=variant)
        app = None
        try:
            case.prepare(world)
            before, began = look(world), time.monotonic()
            app, end = release(world, case, seat)
            seconds = time.monotonic() - began
            harbour.settle(folder)
            events = app.journal.read("acme")
            return score(world, case, name, before, events, end, seconds, Heard(seat.bodies, (TOKEN, *seat.secrets)))
        finally:
            if app is not None:
                app.close()
            harbour.down(folder)


def evaluated(case: Case, name: str, provider: Provider) -> Score:
    """As ``judged``; a release that could not be run is one that could not be judged, and never a good one."""
    with tempfile.TemporaryDirectory(prefix="eval-", ignore_cleanup_errors=True) as folder:
        try:
            return judged(case, name, provider, Path(folder).resolve() / "world")
        except Exception as error:  # noqa: BLE001  # whatever it is, the other worlds are still to be judged
            with suppress(PilothouseError):
                harbour.down(Path(folder).resolve() / "world")
            return Score(case.name, name, "broken", note=f"{type(error).__name__}: {error}"[:400])


def main(argv: Sequence[str] | None = None) -> int:
    """See the module."""
    asked = _arguments()
    given = asked.parse_args(argv)
    names, worlds = _chosen(asked, given.agents, agents.ABOUT), _chosen(asked, given.worlds, CASES)
    provider = Provider(os.environ.get(given.key_variable, ""), given.key_variable, given.base_url, given.model,
                        given.profile, tuple(given.prices.split(",")) if given.prices else ())  # fmt: skip
    skipped = {}
    if "real" in names and not provider.key:
        skipped["real"] = f"{given.key_variable} is not set, and without a key no provider answers."
        names.remove("real")
        _say(f"real is skipped: {skipped['real']}")
    began, scores = time.monotonic(), []
    for name in worlds:
        for who in names:
            scores.append(evaluated(CASES[name], who, provider))
            told = f"{showing.judgement(scores[-1])}, {scores[-1].seconds:.0f} s"
            _say(f"[{len(scores):2}/{len(worlds) * len(names)}] {name} · {who}: {scores[-1].end}, {told}")
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    report = showing.Report(day, time.monotonic() - began, tuple(scores), skipped)
    report.write(Path(given.report))
    if given.json:
        print(json.dumps(report.as_json(), indent=1))
    else:
        report.show()
        print(f"\nreport: {given.report}/report.md, {given.report}/report.json")
    return 1 if any(item.fails for item in scores) else 0


def _arguments() -> argparse.ArgumentParser:
    asked = argparse.ArgumentParser(prog="evals.run", description="Agents in release worlds with known truth.")
    asked.add_argument("--agents", default=DEFAULT, help=f"of: {' '.join(agents.ABOUT)} (default: {DEFAULT})")
    asked.add_argument("--worlds", default=" ".join(CASES), help=f"of: {' '.join(CASES)} (default: all)")
    asked.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    asked.add_argument("--report", default=str(ROOT / "build" / "eval"), help="folder for report.md and report.json")
    real = asked.add_argument_group("real agents")
    real.add_argument("--key-variable", default="ANTHROPIC_API_KEY", help="the variable that holds the key")
    real.add_argument("--base-url", default="", help="another endpoint")
    real.add_argument("--profile", default="", help="what that endpoint lacks (docs/configuration.md)")
    real.add_argument("--model", default=agents.MODEL, help="the model's id")
    real.add_argument("--prices", default="", help="IN,OUT[,CACHE-READ,CACHE-WRITE] in USD a million tokens")
    return asked


def _chosen(asked: argparse.ArgumentParser, given: str, known: Iterable[str]) -> list[str]:
    names, known = list(dict.fromkeys(given.replace(",", " ").split())), tuple(known)
    if unknown := [name for name in names if name not in known]:
        asked.error(f"there is no {unknown[0]}; there are: {' '.join(known)}")
    return names


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
