"""Going on with whatever is due, with nobody at the keyboard: watches, deadlines, approvals from elsewhere, slots.

Every product has its turns, each in a thread of its own with its own connection to the ledger, so that a slow or broken
product delays no other. Several workers may share one project folder, and with it one ledger: the product's lease
decides who advances, and the compare-and-swap on the chain's head who starts a slot. Two clones have two ledgers, which
know nothing of each other's leases and slots: who lets workers run in both starts a slot twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pilothouse import config, scheduling
from pilothouse.app import Pilothouse
from pilothouse.canonical import Json
from pilothouse.errors import EXIT_BUG, EXIT_DONE, PilothouseError, RequestRefused
from pilothouse.events import Event
from pilothouse.guard.fold_consultations import UNAVAILABLE
from pilothouse.guard.state import RunState
from pilothouse.model import Person
from pilothouse.render.course import held, open_checkpoint, state_name
from pilothouse.settings import Configuration
from pilothouse.workspace import Request

CHANNEL = "worker"
_THREADS = 8
_TICK = 0.2  # seconds between two looks whether to stop
_PATIENCE = timedelta(minutes=1)  # before a slot that was refused, or the forge, is tried again


class Stopped(BaseException):
    """The worker was asked to stop, and no act is open: a good moment to leave. No error, so nothing catches it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round did with one run or product.

    ``did`` is advanced, started, busy (another conductor is at work), refused (a slot could not start now), failed or
    stopped; ``due`` why it was done; ``until`` when it is due again, where that is known.
    """

    product: str
    run: str
    did: str
    due: str = ""
    state: str = ""
    reason_code: str = field(default="")
    message: str = ""
    until: str = ""
    exit_code: int = EXIT_DONE

    def as_json(self) -> dict[str, Json]:
        """The fields of a line of ``pilothouse.worker/1``."""
        return {
            "product": self.product, "run": self.run or None, "did": self.did, "due": self.due or None,
            "state": self.state or None, "reason_code": self.reason_code or None, "message": self.message or None,
            "until": self.until or None,
        }  # fmt: skip


def due(state: RunState, now: datetime) -> str:
    """Why a run can go on without a person now: ``deadline``, ``watch`` or ``open``; empty where it cannot.

    ``open`` is all else: it was approved from elsewhere, or its conductor was killed.
    """
    if state.over or state.refused or state.halted:
        return ""
    checkpoint = open_checkpoint(state)
    if checkpoint:
        opened = state.checkpoints[checkpoint].opened
        return "deadline" if opened and now >= datetime.fromisoformat(opened.expires_at) else ""
    if held(state) is not None:
        return ""
    until = next_look(state)
    if until is not None:
        return "watch" if now >= until else ""
    return "open"


def next_look(state: RunState) -> datetime | None:
    """When the open watch of a run takes its next look; None where none is open."""
    for known in state.watches.values():
        if known.closed is None:
            ends = datetime.fromisoformat(known.opened.ends_at)
            if not known.samples:
                return datetime.fromisoformat(known.opened_at)
            every = known.opened.rule.get("every_ms")
            pause = timedelta(milliseconds=every if isinstance(every, int) else 1000)
            return min(datetime.fromisoformat(known.samples[-1][0]) + pause, ends)
    return None


@dataclass
class Worker:
    """Rounds over all products of a project.

    Args:
        open_app: opens the project; called for each product of each round, in its thread, and closed there.
        tell: called with every outcome, from several threads, one at a time.
    """

    open_app: Callable[[], Pilothouse]
    tell: Callable[[Outcome], None] = lambda _outcome: None
    stopping: bool = False
    _quiet: dict[str, int] = field(default_factory=dict)  # run: the head at which only a person could go on
    _patient: dict[str, datetime] = field(default_factory=dict)  # what is not to be tried again before
    _closed: dict[str, list[scheduling.Closed]] = field(default_factory=dict)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def stop(self) -> None:
        """Leave at the next good moment; may be called from a signal handler."""
        self.stopping = True

    def run(self, every: float) -> int:
        """Turn after turn, ``every`` seconds or as soon as a watch is due, until it is stopped; the exit code.

        Each product goes by itself: its next turn comes when the one before has ended, whatever the others are at.
        What is under way when it is stopped is waited for.
        """
        app, elapsed, listed = self.open_app(), 0.0, 0.0
        running: dict[str, Future[list[Outcome]]] = {}
        turns: dict[str, float] = {}  # when the next one of each product comes, in seconds slept
        try:
            with _pool() as pool:
                while not self.stopping:
                    for product in [name for name, turn in running.items() if turn.done()]:
                        pause = self._pause(running.pop(product).result(), app.clock.now(), every)
                        turns[product] = elapsed + pause
                    if elapsed >= listed:
                        products, listed = self._listed(), elapsed + every
                        turns = {product: turns.get(product, elapsed) for product in products}
                    for product, at in turns.items():
                        if product not in running and elapsed >= at:
                            running[product] = pool.submit(self._product, product)
                    app.clock.sleep(_TICK)
                    elapsed += _TICK
        finally:
            app.close()
        return EXIT_DONE

    @staticmethod
    def _pause(outcomes: list[Outcome], now: datetime, every: float) -> float:
        looks = [(datetime.fromisoformat(item.until) - now).total_seconds() for item in outcomes if item.until]
        return max(_TICK, min([every, *looks]))

    def round(self) -> list[Outcome]:
        """Everything that is due, once."""
        troubles: list[Outcome] = []
        products = self._listed(troubles)
        with _pool() as pool:
            turns = [pool.submit(self._product, product) for product in products]
            left = set(turns)
            while left and not self.stopping:
                # In short pieces: a signal is answered between two of them.
                left = wait(left, timeout=_TICK).not_done
        return [*troubles, *(outcome for turn in turns for outcome in turn.result())]

    def _listed(self, told: list[Outcome] | None = None) -> list[str]:
        products, troubles = self._products()
        for trouble in troubles:
            self._note(trouble, told if told is not None else [])
        return products

    def _products(self) -> tuple[list[str], list[Outcome]]:
        """Every product that has runs or is configured; and what is wrong with the configuration."""
        app = self.open_app()
        known: set[str] = set()
        troubles: list[Outcome] = []
        try:
            known.update(chain for chain in app.chains() if not chain.startswith("_"))
            known.update(config.load(app.project).products)
        except PilothouseError as error:
            troubles.append(_failed("", "", error))  # runs go on by the configuration that they started with
        finally:
            app.close()
        return sorted(known), troubles

    def _product(self, product: str) -> list[Outcome]:
        """One product's turn. Whatever happens in it stays in it."""
        outcomes: list[Outcome] = []
        if self.stopping:
            return outcomes  # it was still in the queue
        try:
            app = self.open_app()
        except Exception as error:  # noqa: BLE001 - a thread's last door
            self._note(_failed(product, "", error), outcomes)
            return outcomes
        app.listen = self._listen
        try:
            for outcome in self._turn(app, product):
                self._note(outcome, outcomes)
        except Stopped:
            self._note(Outcome(product, "", "stopped"), outcomes)
        except Exception as error:  # noqa: BLE001 - one product's trouble never stops the others
            self._note(_failed(product, "", error), outcomes)
        finally:
            app.close()
        return outcomes

    def _turn(self, app: Pilothouse, product: str) -> Iterator[Outcome]:
        yield from self._start_slots(app, product)
        for state in app.runs(product):
            if self.stopping:
                return
            app.tell_notices(state)  # what people did elsewhere, and what a killed conductor did not come to
            why = due(state, app.clock.now())
            resting = self._patient.get(state.run, app.clock.now()) > app.clock.now()
            if why and not resting and self._quiet.get(state.run) != state.head_seq:
                yield self._advance(app, state, why)
            elif (until := next_look(state)) is not None and not state.over:
                yield Outcome(product, state.run, "waits", "watch", state_name(state), until=until.isoformat())

    def _advance(self, app: Pilothouse, state: RunState, why: str) -> Outcome:
        product, run = state.started.product, state.run
        try:
            standing = app.advance(run)
        except RequestRefused as refused:
            if refused.reason_code != "product-busy":
                return _failed(product, run, refused)
            return Outcome(product, run, "busy", why, state_name(state), refused.reason_code, refused.message)
        except PilothouseError as error:
            return _failed(product, run, error)
        after, waits = standing.state, standing.wait
        until = next_look(after)
        if waits is not None and waits.reason_code == UNAVAILABLE and waits.until:
            until = self._patient[run] = datetime.fromisoformat(waits.until)  # nobody is awaited but a model
        elif waits is not None and waits.reason_code != "watch":
            self._quiet[run] = after.head_seq
        return Outcome(
            product, run, "advanced", why, state_name(after), waits.reason_code if waits else "",
            waits.message if waits else "", until.isoformat() if until else "",
        )  # fmt: skip

    # --- slots ----------------------------------------------------------------------------------------------------

    def _start_slots(self, app: Pilothouse, product: str) -> Iterator[Outcome]:
        try:
            configuration = config.load(app.project)
        except PilothouseError:
            return  # it was told once for all products
        if product not in configuration.products:
            return
        now = app.clock.now()
        try:
            slots = tuple(
                scheduling.due(
                    configuration, product, now, runs=app.runs,
                    closed=lambda: self._milestones(app, configuration, product, now),
                )
            )  # fmt: skip
        except PilothouseError as error:
            yield _failed(product, "", error)
            return
        for slot in slots:
            if self._patient.get(slot.id + product, now) <= now:
                yield self._start(app, slot, now)

    def _start(self, app: Pilothouse, slot: scheduling.Slot, now: datetime) -> Outcome:
        who = Person(slot.id.partition(":")[0], CHANNEL, "schedule")
        request = Request(slot.product, slot.workflow, "", scheduling.inputs_of(slot))
        try:
            run = app.start(request, who)
        except PilothouseError as error:
            self._patient[slot.id + slot.product] = now + _PATIENCE
            did = "refused" if isinstance(error, RequestRefused) else "failed"
            return Outcome(
                slot.product, "", did, slot.id, "", error.reason_code, error.message,
                exit_code=EXIT_DONE if did == "refused" else error.exit_code,
            )  # fmt: skip
        return Outcome(slot.product, run, "started", slot.id, "running", "", slot.cause)

    def _milestones(
        self, app: Pilothouse, configuration: Configuration, product: str, now: datetime
    ) -> list[scheduling.Closed]:
        """The closed milestones of the product's forge; asked at most once a minute."""
        if self._patient.get(f"milestones {product}", now) <= now:
            self._closed[product] = app.milestones(configuration, product)
            self._patient[f"milestones {product}"] = now + _PATIENCE
        return self._closed[product]

    # --- telling --------------------------------------------------------------------------------------------------

    def _listen(self, _event: Event, state: RunState) -> None:
        # What was recorded is durable, and no act is open: whoever goes on later finds nothing half done.
        if self.stopping and state.open_act is None:
            raise Stopped

    def _note(self, outcome: Outcome, outcomes: list[Outcome]) -> None:
        outcomes.append(outcome)
        with self._telling:
            self.tell(outcome)


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="product")


def _failed(product: str, run: str, error: Exception) -> Outcome:
    if isinstance(error, PilothouseError):
        return Outcome(product, run, "failed", "", "", error.reason_code, error.message, exit_code=error.exit_code)
    told = f"this is a bug in Pilothouse ({type(error).__name__}: {str(error)[:200]})"
    return Outcome(product, run, "failed", "", "", "bug", told, exit_code=EXIT_BUG)


def exit_code(outcomes: list[Outcome]) -> int:
    """How a round ended: the gravest failure; that another conductor is at work, or a slot must wait, is none."""
    return max((item.exit_code for item in outcomes), default=EXIT_DONE)
