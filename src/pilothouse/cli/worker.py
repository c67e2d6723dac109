"""worker: goes on with whatever is due, until it is asked to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pilothouse.app import Pilothouse
from pilothouse.cli.surface import Surface
from pilothouse.config.scalars import milliseconds
from pilothouse.engine.world import iso
from pilothouse.errors import UsageError
from pilothouse.render.screen import BLANK, Tone, line
from pilothouse.render.text import safe, visible_json
from pilothouse.views import schema
from pilothouse.worker import Outcome, Worker, exit_code

_TONES = {"failed": Tone.BAD, "refused": Tone.WAIT, "busy": Tone.DIM, "waits": Tone.DIM}


def work(surface: Surface, every: str, *, once: bool) -> int:
    """Round after round, or one; the exit code.

    Raises:
        UsageError: ``bad-duration``; there is no project.
    """
    seconds = _seconds(every)
    folder = surface.folder()
    seen: set[Outcome] = set()

    def tell(outcome: Outcome) -> None:
        # What is as it was the last time is no news; a look of a watch is, whatever it saw.
        if once or outcome.did in {"advanced", "started"} or outcome not in seen:
            _write(surface, outcome)
        seen.add(outcome)

    worker = Worker(lambda: Pilothouse(folder), tell)
    with _ended_by_signal(worker):
        if once:
            return exit_code(worker.round())
        if not surface.json and not surface.quiet:
            surface.out().write([line(f" Working on {folder}, every {every}. Stop: Ctrl-C"), BLANK])
        return worker.run(seconds)


def _seconds(every: str) -> float:
    try:
        return milliseconds(every) / 1000
    except ValueError as error:
        raise UsageError("bad-duration", f"{every!r} is no duration", "write 15s, 1m or 500ms") from error


@contextmanager
def _ended_by_signal(worker: Worker) -> Iterator[None]:
    """The first signal asks the worker to leave at the next good moment; the second ends it as a kill would.

    A kill is safe: children die with their conductor, and whoever goes on looks first at what was open.
    """

    def asked(number: int, _frame: FrameType | None) -> None:
        if worker.stopping:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        worker.stop()

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(surface: Surface, outcome: Outcome) -> None:
    from pilothouse.workspace import SystemClock

    at = iso(SystemClock().now())
    if surface.json:
        row = {"schema": schema("worker"), "at": at, **outcome.as_json()}
        sys.stdout.write(visible_json(row) + "\n")
        sys.stdout.flush()
    elif not surface.quiet or outcome.did in {"failed", "started"}:
        told = " · ".join(filter(None, (outcome.state, outcome.reason_code, safe(outcome.message, 200))))
        where = outcome.run or outcome.product or "project"
        tone = _TONES.get(outcome.did, Tone.STRONG)
        surface.out().write([line((f" {at[11:19]} ", Tone.DIM), (f"{outcome.did:9}", tone), f" {where}  {told}")])
        sys.stdout.flush()
