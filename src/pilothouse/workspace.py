"""A project folder, opened: its ledger, the clock, who listens. What every part of the facade works on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pilothouse.canonical import Json
from pilothouse.errors import UsageError
from pilothouse.events import Event
from pilothouse.guard.fold import fold
from pilothouse.guard.state import RunState
from pilothouse.ports import Boundary, Clock, Journal, Personas

FOLDER = ".pilothouse"


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """The present in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        import time

        time.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class Request:
    """What a person or a job asks for: "ship product X"."""

    product: str
    workflow: str = ""
    version: str = ""
    inputs: Mapping[str, Json] = field(default_factory=dict)
    dry_run: bool = False


def _nobody(_event: Event, _state: RunState) -> None:
    """Nobody listens."""


def _nothing(_name: str, _step: str) -> None:
    """The boundary hook outside of the crash suite."""


@dataclass
class Workspace:
    """One project folder, opened.

    Args:
        project: the folder that holds pilothouse.yml.
        environ: the conductor's environment; children receive allow-listed parts of it only.
        listen: called with every appended event and the run's state (progress).
    """

    project: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    clock: Clock = field(default_factory=SystemClock)
    listen: Callable[[Event, RunState], None] = _nobody
    boundary: Boundary = _nothing
    personas: Personas | None = None
    _journal: Journal | None = None

    # --- the ledger ---------------------------------------------------------------------------------------------

    @property
    def journal(self) -> Journal:
        """The project's ledger, opened on first use."""
        if self._journal is None:
            from pilothouse.ledger.sqlite import SqliteJournal

            folder = self.project / FOLDER
            folder.mkdir(exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            self._journal = SqliteJournal(folder / "ledger.db")
        return self._journal

    def close(self) -> None:
        """Give back what is held."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def runs(self, product: str | None = None) -> list[RunState]:
        """All runs, oldest first, of one product or of all."""
        if self._journal is None and not (self.project / FOLDER / "ledger.db").exists():
            return []
        found: list[RunState] = []
        for chain in self.journal.chains():
            if chain == "_global" or (product is not None and chain != product):
                continue
            by_run: dict[str, list[Event]] = {}
            for event in self.journal.read(chain):
                by_run.setdefault(event.run, []).append(event)
            found.extend(fold(events) for events in by_run.values())
        return sorted(found, key=lambda state: state.started_at)

    def find(self, run: str = "") -> RunState:
        """A run by id; without an id the one run that is not over, or else the latest.

        Raises:
            UsageError: there is no such run, or more than one is meant.
        """
        runs = self.runs()
        if run:
            for state in runs:
                if state.run == run:
                    return state
            known = ", ".join(state.run for state in runs[-5:]) or "none yet"
            raise UsageError("no-such-run", f"there is no run {run!r}", f"latest runs: {known}")
        going = [state for state in runs if not state.over]
        if len(going) > 1:
            listed = ", ".join(f"{state.run} ({state.started.product})" for state in going)
            raise UsageError("which-run", f"more than one run is open: {listed}", "name one of them")
        if going or runs:
            return (going or runs)[-1]
        raise UsageError("no-runs", "nothing was shipped from this project yet", "start with: pilothouse ship PRODUCT")
