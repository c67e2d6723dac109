"""Data for ``explain``: who said what on which evidence, and what was let go or stopped by whom, from a run's events.

Nothing is judged again here, and nothing is asked: all of it is what the ledger says, in its order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import cast

from pilothouse import events as e
from pilothouse.canonical import Json
from pilothouse.errors import UsageError
from pilothouse.guard.state import RunState
from pilothouse.llm.recorded import Conversation, conversations
from pilothouse.render.costs import Spending, by_agent, together
from pilothouse.render.course import Times, outline, state_name
from pilothouse.render.eventlines import sentence_of
from pilothouse.render.rows import Mark
from pilothouse.render.said import (
    Call,
    Consultation,
    Decision,
    Entry,
    Excerpt,
    Explanation,
    Gate,
    Opinion,
    Passage,
    Reply,
    Source,
)
from pilothouse.render.text import short
from pilothouse.render.timeline import headline, origin

_QUESTION, _RESULT, _REPLY = (6, 480), (4, 280), (24, 2400)  # lines and characters that are shown of each

# What code and people did, besides gates and verdicts: the sign, the word, and whether it belongs to the whole run.
_WORDS: dict[type, tuple[Mark, str]] = {
    e.HoldLifted: (Mark.DONE, "hold lifted"), e.Skipped: (Mark.TO_COME, "left out"),
    e.CheckpointOpened: (Mark.WAITING, "a person is asked"), e.CardVoided: (Mark.WAITING, "the card was taken back"),
    e.Approved: (Mark.DONE, "approved"), e.Rejected: (Mark.FAILED, "rejected"),
    e.CheckpointExpired: (Mark.FAILED, "nobody answered in time"), e.Allowed: (Mark.DONE, "let happen"),
    e.Failed: (Mark.FAILED, "failed"), e.Refused: (Mark.FAILED, "refused"), e.Halted: (Mark.FAILED, "halted"),
    e.Resumed: (Mark.TO_COME, "resumed"), e.WatchOpened: (Mark.WAITING, "watched"),
    e.Branched: (Mark.BACK, "left the main line"), e.Settled: (Mark.DONE, "settled"),
    e.Aborted: (Mark.FAILED, "aborted"), e.Superseded: (Mark.FAILED, "gave way"),
    e.Overridden: (Mark.DONE, "let through"), e.ModelMissed: (Mark.WAITING, "no model answered"),
}  # fmt: skip


def explained(
    state: RunState, events: Sequence[e.Event], *, step: str = "", agent: str = "", full: bool = False
) -> Explanation:
    """A run explained.

    Args:
        state: the run, folded.
        events: the same run's, in order.
        step: only what was said at this step.
        agent: only what this agent said, and the gates of its steps.
        full: questions, replies and results whole, and what a model says of its thinking.

    Raises:
        UsageError: the run has no such step or agent.
    """
    steps = {entry.id: entry for entry in outline(state)}
    told = _Telling(state, events, full=full)
    if step and step not in steps:
        raise UsageError("no-such-step", f"{state.run} has no step {step!r}", f"there is: {', '.join(steps)}")
    agents = {entry.agent for entry in steps.values()} | {talk.opened.agent for talk in told.talks}
    if agent and agent not in agents:
        raise UsageError("no-such-agent", f"nobody called {agent!r} is in {state.run}", f"there is: {_listed(agents)}")
    passages = []
    for name, entries in groupby(told.entries(), key=lambda item: item[0]):
        known = steps.get(name)
        owner = known.agent if known else ""
        kept = _collapsed(entry for _, entry in entries if agent in {"", owner, getattr(entry, "agent", owner)})
        if kept and (not step or step == name):
            passages.append(Passage(name, known.phase_title if known else "The run", owner, kept))
    spending = by_agent(Times.of(events).said)
    return Explanation(state.run, headline(state), origin(state), state_name(state), tuple(passages), spending)


def as_json(told: Explanation) -> dict[str, Json]:
    """For scripts: the same passages, each entry with its ``type``, and what models used up."""
    return {
        "run": told.run,
        "state": told.state,
        "passages": [
            {
                "step": item.step or None, "title": item.title, "agent": item.agent or None,
                "entries": [_entry_json(entry) for entry in item.entries],
            }
            for item in told.passages
        ],
        "models": {
            "agents": [{"agent": agent, **part.as_json()} for agent, part in told.spending],
            "run": together(told.spending).as_json(),
        },
    }  # fmt: skip


def _entry_json(entry: Entry) -> dict[str, Json]:
    told = {"type": type(entry).__name__.lower(), **asdict(entry)}
    if isinstance(entry, Consultation):
        for reply, plain in zip(entry.replies, told["replies"], strict=True):
            plain["spending"] = reply.spending.as_json()
    # Through text: tuples are lists there, and signs plain words.
    return cast("dict[str, Json]", json.loads(json.dumps(told)))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _collapsed(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The same with gates that were judged again to the same end told once, as they were judged last."""
    kept: list[Entry] = []
    for entry in entries:
        if isinstance(entry, Gate):
            at = next((n for n, old in enumerate(kept) if isinstance(old, Gate) and old.gate == entry.gate), None)
            old = kept[at] if at is not None else None
            if isinstance(old, Gate) and (old.passed, old.reason_code) == (entry.passed, entry.reason_code):
                kept[kept.index(old)] = replace(entry, times=old.times + 1)
                continue
        kept.append(entry)
    return tuple(kept)


class _Telling:
    """One run's events as entries, with what an entry must know of earlier ones."""

    def __init__(self, state: RunState, events: Sequence[e.Event], *, full: bool) -> None:
        self._state, self._events, self._full = state, events, full
        self.talks = conversations(events)
        self._begun = {(talk.opened.step, talk.at): talk for talk in self.talks}
        self._last = {talk.ended.seq: talk for talk in self.talks if talk.ended}
        self._intended: dict[str, e.Intended] = {}

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Each entry with the step at which it was said."""
        for event in self._events:
            fact = event.fact
            step = str(getattr(fact, "step", "") or getattr(fact, "checkpoint", "") or getattr(fact, "at_step", ""))
            found = self._entry(event)
            if found is not None:
                yield step, found

    def _entry(self, event: e.Event) -> Entry | None:
        match event.fact:
            case e.Judged() as fact:
                sources = self._sources(fact.evidence)
                return Gate(
                    event.seq, event.at, fact.gate, fact.passed, fact.reason_code, fact.message, sources
                )  # fmt: skip
            case e.Consulted() as fact:
                return self._consultation(event, self._begun[fact.step, event.at])
            case e.VerdictGiven() as fact:
                sources = self._sources(fact.cites)
                return Opinion(
                    event.seq, event.at, fact.agent, "verdict", fact.answer, fact.by, fact.reasons, sources
                )  # fmt: skip
            case e.Advised() as fact:
                return Opinion(
                    event.seq, event.at, fact.agent, "advice", fact.severity, fact.by, (fact.message,),
                    self._sources(fact.cites), fact.recommends, fact.plan, fact.kind,
                )  # fmt: skip
            case e.FellBack() as fact:
                return Opinion(event.seq, event.at, fact.agent, "fallback", fact.reason_code, "", (fact.message,))
            case e.HandedOff() as fact:
                reasons, sources = (fact.reason_code,), self._sources(fact.refs)
                return Opinion(
                    event.seq, event.at, fact.giver, "handoff", fact.receiver, fact.by, reasons, sources
                )  # fmt: skip
            case e.Observed() as fact:
                talk = self._last.get(event.seq)
                if talk is None:
                    return None
                by = talk.answers[-1].model if talk.answers else ""
                sources = self._sources((fact.evidence,))
                return Opinion(event.seq, event.at, talk.opened.agent, "draft", fact.step, by, (), sources)
            case _:
                return self._decision(event)

    def _decision(self, event: e.Event) -> Decision | None:
        mark, word, text = Mark.TO_COME, "", ""
        match event.fact:
            case e.Intended() as fact:
                self._intended[fact.step] = fact
                return None
            case e.Done() as fact:
                mark, text = Mark.DONE, f"{fact.summary or fact.step}, {fact.evidence}{self._cover(fact.step)}"
                word = "found done" if fact.found else "done"
            case e.WordSpent() as fact:
                if fact.matched:
                    return None  # the approval says it
                mark, word, text = Mark.FAILED, "a wrong word", f"on {fact.channel}"
            case e.WatchClosed() as fact:
                mark = Mark.DONE if fact.outcome == "healthy" else Mark.FAILED
                word, text = fact.outcome, fact.message
            case e.Ended() as fact:
                mark = Mark.DONE if fact.outcome == "done" else Mark.BACK
                word, text = fact.outcome, fact.message
            case fact if type(fact) in _WORDS:
                mark, word = _WORDS[type(fact)]
                text = sentence_of(fact)
            case _:
                return None
        return Decision(event.seq, event.at, event.kind, mark, word, text)

    def _cover(self, step: str) -> str:
        intended = self._intended.get(step)
        if intended is None or intended.approval_digest is None:
            return ""
        return f", as approved ({short(intended.approval_digest)})"

    def _sources(self, cites: Iterable[str]) -> tuple[Source, ...]:
        return tuple(self._source(name) for name in cites)

    def _source(self, name: str) -> Source:
        known = self._state.evidence_by_id.get(name)
        if known is None:
            return Source(name, "", "", "")
        return Source(name, known.step, known.tool, known.summary or known.step)

    def _consultation(self, event: e.Event, talk: Conversation) -> Consultation:
        asked = talk.opened
        said = [item for item in talk.said if isinstance(item.fact, e.ModelAnswered)]
        replies = tuple(self._reply(item, talk, last=item is said[-1]) for item in said)
        question = self._excerpt(asked.prompt, _QUESTION)
        return Consultation(event.seq, event.at, asked.agent, asked.about, asked.model, question, replies)

    def _reply(self, event: e.Event, talk: Conversation, *, last: bool) -> Reply:
        fact = event.fact
        assert isinstance(fact, e.ModelAnswered)
        results = {item.call: item for item in talk.results(fact.turn)}
        text = _joined(fact, "text", "text")
        calls = tuple(
            self._call(block, results.get(str(block.get("id"))))
            for block in fact.content
            if block.get("type") == "tool_use"
        )
        # What a draft's words were stands nowhere else.
        told = talk.opened.about != "draft" and talk.ended and not isinstance(talk.ended.fact, e.FellBack)
        return Reply(
            fact.turn, event.at, fact.model, fact.stop, self._excerpt(text, _REPLY),
            _joined(fact, "thinking", "thinking") if self._full else "", calls,
            structured=bool(last and told and fact.stop == "end_turn" and _is_object(text)),
            spending=Spending.of([fact]),
        )  # fmt: skip

    def _call(self, block: dict[str, Json], result: e.ToolAnswered | None) -> Call:
        given = block.get("input")
        arguments = given if isinstance(given, dict) else {}
        name = result.tool if result else str(block.get("name"))
        told = self._excerpt(result.result, _RESULT) if result else None
        return Call(name, arguments, told, failed=result is not None and result.failed)

    def _excerpt(self, text: str, bounds: tuple[int, int]) -> Excerpt:
        """The beginning of a text: so many lines, and so many characters."""
        if self._full:
            return Excerpt(text)
        lines, most = bounds
        shown = "\n".join(text.split("\n")[:lines])[:most]
        return Excerpt(shown, len(text.rstrip()) - len(shown) if len(text.rstrip()) > len(shown) else 0)


def _joined(fact: e.ModelAnswered, kind: str, key: str) -> str:
    return "\n".join(str(block.get(key, "")) for block in fact.content if block.get("type") == kind)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
