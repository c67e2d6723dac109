"""A project folder, opened: its ledger, the clock, who listens. What every part of the facade works on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.canonical import Json
from pilothouse.errors import LedgerError, UsageError
from pilothouse.events import PRODUCT_LINE, Event
from pilothouse.folder import FOLDER, own_folder
from pilothouse.guard.fold import fold
from pilothouse.guard.product import ProductState, fold_product
from pilothouse.guard.state import RunState
from pilothouse.ports import Boundary, Clock, Journal, Model, Personas

if TYPE_CHECKING:
    from pilothouse.ledger.gitjournal import GitJournal
    from pilothouse.ledger.sqlite import SqliteJournal
    from pilothouse.redaction import Redactor
    from pilothouse.settings import Models


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
    override: tuple[str, ...] = ()  # freezes and locks that a permitted person lets it pass
    reason: str = ""  # why they do


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
    _carried: GitJournal | None = None  # the same, within, where the ledger stands on the remote
    _model: tuple[Models, Model] | None = None

    # --- the ledger ---------------------------------------------------------------------------------------------

    @property
    def journal(self) -> Journal:
        """The project's ledger, opened on first use."""
        if self._journal is None:
            from pilothouse.ledger.sqlite import SqliteJournal
            from pilothouse.nets import GuardedJournal

            folder = own_folder(self.project)
            folder.mkdir(exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            local = SqliteJournal(folder / "ledger.db")
            self._journal = GuardedJournal(self._on_remote(local) if self.on_remote else local, self.redactor)
        return self._journal

    def _on_remote(self, local: SqliteJournal) -> GitJournal:
        from pilothouse import config
        from pilothouse.errors import ToolFailed
        from pilothouse.ledger.gitjournal import GitJournal
        from pilothouse_tools.carrier import carrier_of

        products = config.load(self.project / "pilothouse.yml").products
        scratch = own_folder(self.project.resolve()) / "work"
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            carrier = carrier_of(products, self.project.resolve(), self.environ, self.clock, scratch)
        except ToolFailed as failure:
            raise LedgerError(failure.reason_code, failure.message, failure.hint) from failure
        self._carried = GitJournal(local, carrier)
        return self._carried

    @cached_property
    def on_remote(self) -> bool:
        """Whether the ledger stands on the remote, by the project's pilothouse.yml (``ledger: git``).

        Raises:
            InvalidFile: pilothouse.yml says something of a ledger, and is not sound.
        """
        try:
            text = (self.project / "pilothouse.yml").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        if "ledger" not in text and "\\" not in text:  # an escape could spell it; most commands parse nothing for this
            return False
        from pilothouse import config

        return config.load(self.project / "pilothouse.yml").ledger == "git"

    @property
    def has_ledger(self) -> bool:
        """Whether there may be a ledger; asking makes none."""
        return self._journal is not None or (self.project / FOLDER / "ledger.db").exists() or self.on_remote

    @property
    def ledger_note(self) -> str:
        """What a reader must know of the ledger: the remote was not reached, or did not take what is here; or empty."""
        return self._carried.note if self._carried is not None else ""

    def redactor(self) -> Redactor:
        """Takes out every value that this project's configuration and environment hold (AUT-4)."""
        from pilothouse.redaction import redactor

        return redactor(self.project, self.environ)

    def model(self, models: Models) -> Model:
        """The model that a configuration names: one client as long as the project is open."""
        from pilothouse.thinking import model_of

        if self._model is None or self._model[0] != models:
            self._forget_model()
            self._model = models, model_of(models, self.environ, self.redactor())
        return self._model[1]

    def _forget_model(self) -> None:
        if self._model is not None:
            self._model[1].close()
            self._model = None

    def close(self) -> None:
        """Give back what is held."""
        self._forget_model()
        if self._journal is not None:
            self._journal.close()
            self._journal = self._carried = None

    def runs(self, product: str | None = None) -> list[RunState]:
        """All runs, oldest first, of one product or of all."""
        if not self.has_ledger:
            return []
        found: list[RunState] = []
        for chain in self.journal.chains():
            if chain == "_global" or (product is not None and chain != product):
                continue
            by_run: dict[str, list[Event]] = {}
            for event in self.journal.read(chain):
                if event.run != PRODUCT_LINE:
                    by_run.setdefault(event.run, []).append(event)
            found.extend(fold(events) for events in by_run.values())
        return sorted(found, key=lambda state: state.started_at)

    def chains(self) -> list[str]:
        """The products that have runs, and what else has a chain of its own (``_global``)."""
        if not self.has_ledger:
            return []
        return list(self.journal.chains())

    def _named(self, run: str) -> RunState | None:
        """A run by its id; a product whose chain is broken keeps nobody from another product's run."""
        broken: LedgerError | None = None
        for chain in self.chains():
            try:
                found = next((state for state in self.runs(chain) if state.run == run), None)
            except LedgerError as error:
                broken = error
                continue
            if found is not None:
                return found
        if broken is not None:
            raise broken
        return None

    def find(self, run: str = "") -> RunState:
        """A run by id; without an id the one run that is not over, or else the latest.

        Raises:
            UsageError: there is no such run, or more than one is meant.
        """
        if run:
            found = self._named(run)
            if found is not None:
                return found
        runs = self.runs()
        if run:
            known = ", ".join(state.run for state in runs[-5:]) or "none yet"
            raise UsageError("no-such-run", f"there is no run {run!r}", f"latest runs: {known}")
        going = [state for state in runs if not state.over]
        if len(going) > 1:
            listed = ", ".join(f"{state.run} ({state.started.product})" for state in going)
            raise UsageError("which-run", f"more than one run is open: {listed}", "name one of them")
        if going or runs:
            return (going or runs)[-1]
        raise UsageError("no-runs", "nothing was shipped from this project yet", "start with: pilothouse ship PRODUCT")

    def line(self, chain: str) -> ProductState:
        """What is known of a product beside its runs, or of all of them (chain ``_global``)."""
        if chain not in self.chains():
            return ProductState()
        return fold_product(self.journal.read(chain))
