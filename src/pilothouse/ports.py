"""The narrow ports through which the engine reaches the outside; adapters implement them, ``app`` joins them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pilothouse.canonical import Json
from pilothouse.events import Event, Fact
from pilothouse.model import Observation, Permit, Probe, Step, ToolSpec, Verdict


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: its last sequence number (0: empty) and that entry's hash (64 zeros: empty)."""

    seq: int
    hash: str


EMPTY = Head(0, "0" * 64)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to advance one product for a while. ``fence`` grows with every change of holder."""

    chain: str
    holder: str
    fence: int
    expires_at: str


class Journal(Protocol):
    """The ledger's port: append-only chains, and a lease a chain."""

    def append(self, chain: str, run: str, facts: Iterable[Fact], at: str, *, expect: Head | None = None,
               lease: Lease | None = None, first: tuple[str, Fact] | None = None) -> tuple[Event, ...]:  # fmt: skip
        """Append facts as one atomic, durable batch.

        Args:
            chain: product name, or ``_global``.
            run: the run's id.
            facts: at least one.
            at: ISO 8601 UTC.
            expect: where given, the head must still be this one.
            first: a fact of another run that goes before them in the same batch (a run that gives way to this one).
            lease: where given, it must still be the chain's current lease (same fence) and not have run out at ``at``.

        Raises:
            ChainMoved: ``expect`` is not the head any more.
            LeaseLost: the lease is not current.
            LedgerError: the disk is full or broken; nothing was appended.
        """

    def read(self, chain: str, *, after: int = 0) -> tuple[Event, ...]:
        """All events of a chain with ``seq > after``, in order. Raises LedgerCorrupt."""

    def head(self, chain: str) -> Head:
        """The end of a chain."""

    def entries(self, chain: str, *, start: int = 0) -> list[tuple[int, str, bytes]]:
        """The stored rows ``(seq, hash, bytes)`` from a sequence number on, unchecked: for verification and exports."""

    def chains(self) -> tuple[str, ...]:
        """The names of all chains that hold an event, sorted."""

    def acquire(self, chain: str, holder: str, now: str, seconds: int) -> Lease:
        """Take the lease of a chain, or one's own again. Raises LeaseLost where another holder's has not run out."""

    def renew(self, lease: Lease, now: str, seconds: int) -> Lease:
        """Extend the lease. Raises LeaseLost where it is not current any more."""

    def holder(self, chain: str) -> Lease | None:
        """The lease as it is stored, run out or not; None where nobody ever held it or it was given back."""

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing where it is not current any more."""

    def sync(self) -> None:
        """Make sure that what was appended survives this machine's disk (a no-op for a local journal)."""

    def close(self) -> None:
        """Give back what the adapter holds."""


@dataclass(frozen=True, slots=True)
class Tip:
    """A chain as a remote holds it.

    Attributes:
        mark: which state of the remote this is, as the carrier names it (a commit); empty: the remote holds nothing.
        head: the end of the chain there.
        lease: who may advance the product, as the remote has it; None where nobody ever held it.
    """

    mark: str = ""
    head: Head = EMPTY
    lease: Lease | None = None


class Carrier(Protocol):
    """A place beyond this machine's disk that holds chains: append-only, and grown by compare-and-swap alone."""

    def tips(self) -> Mapping[str, Tip]:
        """Every chain that the remote holds, asked now.

        Raises:
            LedgerUnreachable: the remote does not answer.
            LedgerCorrupt: ``ledger-forked``: what the remote held before is gone or another one.
        """

    def rows(self, chain: str, tip: Tip, start: int) -> list[tuple[int, str, bytes]]:
        """The rows ``(seq, hash, bytes)`` of a chain from a sequence number on, unchecked. Raises LedgerCorrupt."""

    def push(self, chain: str, tip: Tip, rows: Sequence[tuple[int, str, bytes]], lease: Lease | None) -> Tip:
        """Add rows, and say who holds the lease, where the remote still is at ``tip``; the tip afterwards.

        Raises:
            ChainMoved: it is not; nothing was added.
            LedgerUnreachable: the remote does not answer; whether the rows landed is told by asking it again.
            LedgerError: ``ledger-push-refused``.
        """


class Clock(Protocol):
    """Time. Tests bring their own."""

    def now(self) -> datetime:
        """The present in UTC."""

    def sleep(self, seconds: float) -> None:
        """Let time pass (between two looks of a quiescing act, never in the loop)."""


class Tools(Protocol):
    """The registered tools of one product, behind one door that validates every argument before any I/O (I1)."""

    def specs(self) -> Mapping[str, ToolSpec]:
        """What there is."""

    def observe(self, name: str, arguments: Mapping[str, Json]) -> Observation:
        """Run an observe or draft tool. Raises ToolFailed."""

    def pins(self, name: str, arguments: Mapping[str, Json]) -> dict[str, str]:
        """Read what an act rests on, now: pin name to value. References not yet known are left out by the caller."""

    def probe(self, name: str, arguments: Mapping[str, Json], key: str) -> Probe:
        """Look whether the act's effect is there. Never changes anything."""

    def apply(self, name: str, arguments: Mapping[str, Json], permit: Permit) -> None:
        """Act. Raises ToolFailed where the attempt visibly failed; a return proves nothing."""

    def verify(self, name: str, arguments: Mapping[str, Json], key: str) -> Probe:
        """Read back after the write."""


class Personas(Protocol):
    """Who gives verdicts: scripted agents, a model, a recording."""

    def verdict(self, step: Step, evidence: Mapping[str, Mapping[str, Json]]) -> Verdict:
        """A verdict on a step, given the evidence it reads (id to facts)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply cost, in tokens. ``input`` is what was neither read from a cache nor written into one."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a model. ``system`` and ``tools`` are the stable prefix: the same bytes in every turn of a step.

    Attributes:
        model: the model's id, as the endpoint knows it.
        system: texts, the persona first.
        tools: ``{name, description, input_schema}``, and ``strict`` where the arguments are to be held to the schema.
        messages: the conversation as the Messages API has it, from a user's message on.
        answer: the JSON Schema of the structured final answer, or None.
        max_tokens: of the reply, thinking included.
        effort: ``low``, ``medium``, ``high``, or empty: as the model does by itself.
        seconds: how long it may take, retries included; 0: as the adapter was told.
    """

    model: str
    system: tuple[str, ...]
    tools: tuple[Json, ...]
    messages: tuple[Json, ...]
    answer: Json | None
    max_tokens: int
    effort: str = ""
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, whole: a reply that was cut off is none.

    Attributes:
        content: blocks as the Messages API takes them back: ``text``, ``tool_use`` ``{id, name, input}``, ``thinking``
            and ``redacted_thinking`` (unchanged). A ``tool_use`` whose input was no JSON that this program holds (no
            object, a fraction, an integer beyond 53 bits, a key that is not ASCII) has the input
            ``{"malformed_input": why}``, and no tool takes that.
        stop: end_turn, tool_use, max_tokens, pause_turn, refusal, model_context_window_exceeded or stop_sequence.
        model: who answered, as the endpoint says.
        usage: as the endpoint says; never negative.
    """

    content: tuple[Json, ...]
    stop: str
    model: str
    usage: Usage


def nobody_hears(_text: str) -> None:
    """Where nobody reads along."""


class Model(Protocol):
    """A language model. Asking changes nothing in the world; what it says decides nothing by itself."""

    def answer(self, ask: Ask, hear: Callable[[str], None] = nobody_hears) -> Answer:
        """One turn.

        Args:
            ask: the request.
            hear: is called with pieces of text as they come, for a person to read along; a piece that was heard may be
                of a reply that then fails, so nothing else may be done with it.

        Raises:
            ModelFailed: there is no whole reply.
        """

    def count(self, ask: Ask) -> int:
        """How many input tokens the request has, asked of the endpoint. Raises ModelFailed."""

    def close(self) -> None:
        """Give back what the adapter holds."""


# Called with the name of each boundary of an act (before-intent, after-intent, after-apply, after-outcome) and the
# step: the crash suite kills there, nobody else does anything there.
Boundary = Callable[[str, str], None]
