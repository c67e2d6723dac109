"""A run explained, as frozen values: who said what on which evidence, and what was let go or stopped by whom."""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.canonical import Json
from pilothouse.render.costs import Spending
from pilothouse.render.rows import Mark


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text, or its beginning; ``omitted`` is how many characters are left out."""

    text: str
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of evidence that somebody cites, in one line. Of one that does not exist, ``tool`` is empty."""

    id: str
    step: str
    tool: str
    summary: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that a model called; ``result`` is None where the run came to no answer."""

    tool: str
    arguments: dict[str, Json]
    result: Excerpt | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """One turn of a model. ``structured``: it is the object that was asked for. ``thinking`` is there in full only."""

    turn: int
    at: str
    model: str
    stop: str
    text: Excerpt
    thinking: str
    calls: tuple[Call, ...]
    structured: bool
    spending: Spending


@dataclass(frozen=True, slots=True)
class Consultation:
    """An agent is asked on a model: ``about`` is verdict, draft, advice or watch."""

    seq: int
    at: str
    agent: str
    about: str
    model: str
    question: Excerpt
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate was judged, ``times`` in a row to the same end."""

    seq: int
    at: str
    gate: str
    passed: bool
    reason_code: str
    message: str
    sources: tuple[Source, ...]
    times: int = 1


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an agent came to.

    Attributes:
        kind: verdict, advice, draft, fallback or handoff.
        trouble: of an advice: which kind of trouble it is.
        answer: go or hold; a severity; the step that was drafted; a reason code; who is handed to.
        by: the model's id, or scripted.
        reasons: sentences.
        recommends: a remedy's id, or empty.
        plan: sentences.
    """

    seq: int
    at: str
    agent: str
    kind: str
    answer: str
    by: str
    reasons: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    recommends: str = ""
    plan: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What code or a person decided or did: the event's kind, a word for it, and a sentence."""

    seq: int
    at: str
    kind: str
    mark: Mark
    word: str
    text: str


Entry = Consultation | Gate | Opinion | Decision


@dataclass(frozen=True, slots=True)
class Passage:
    """What was said at one step without a break; ``step`` is empty for the run as a whole."""

    step: str
    title: str
    agent: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A run explained: passages in the order of the ledger, and what models used up, by agent."""

    run: str
    headline: str
    origin: tuple[str, ...]
    state: str
    passages: tuple[Passage, ...]
    spending: tuple[tuple[str, Spending], ...]
