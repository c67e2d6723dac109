"""Conversations that a ledger holds, told again: for tests and post-mortems, here or on another machine.

Nothing is asked of any endpoint. What was answered once is answered again, to the same question in the same
conversation; anything else is a difference, and is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from pilothouse.canonical import Json, digest
from pilothouse.errors import InvalidFile, LedgerCorrupt, ModelFailed
from pilothouse.events import (
    Advised,
    Branched,
    Consulted,
    Event,
    FellBack,
    ModelAnswered,
    Observed,
    Resumed,
    ToolAnswered,
    VerdictGiven,
    WatchClosed,
    fact_from_json,
)
from pilothouse.ports import Answer, Ask, Usage, nobody_hears

EXPORTED = "pilothouse.audit-show/1"
_ENDS = {"verdict": VerdictGiven, "draft": Observed, "watch": WatchClosed}  # what is there then, from whomever
_HINT = "a recording answers what was asked then, word for word: pilothouse explain RUN --full shows it"
_AROUND = 30  # characters shown on either side of a difference


@dataclass(slots=True)
class Conversation:
    """One conversation of an agent with a model, as the ledger has it.

    Attributes:
        opened: the question.
        at: when it was put.
        said: replies and what tools said, in order.
        ended: what it came to; None where it was broken off.
    """

    opened: Consulted
    at: str
    said: list[Event] = field(default_factory=list)
    ended: Event | None = None

    @property
    def answers(self) -> list[ModelAnswered]:
        """The model's replies."""
        return [event.fact for event in self.said if isinstance(event.fact, ModelAnswered)]

    def results(self, turn: int) -> list[ToolAnswered]:
        """What the tools said that a reply called."""
        found = (event.fact for event in self.said if isinstance(event.fact, ToolAnswered))
        return [fact for fact in found if fact.turn == turn]

    @property
    def place(self) -> str:
        """For people: who was asked for what, where."""
        return f"{self.opened.agent} at {self.opened.step} ({self.opened.about})"


def conversations(events: Iterable[Event]) -> tuple[Conversation, ...]:
    """The conversations of a run's events, in the order in which they began."""
    found: list[Conversation] = []
    going: dict[str, Conversation] = {}
    for event in events:
        match event.fact:
            case Consulted() as asked:
                going[asked.step] = Conversation(asked, event.at)
                found.append(going[asked.step])
            case ModelAnswered() | ToolAnswered() as said if said.step in going:
                going[said.step].said.append(event)
            case Advised() | FellBack() as last if last.step in going:
                going.pop(last.step).ended = event
            case VerdictGiven() | Observed() | WatchClosed() as last if last.step in going:
                if isinstance(last, _ENDS.get(going[last.step].opened.about, ())):
                    going.pop(last.step).ended = event
            case Resumed():
                going = {step: known for step, known in going.items() if known.opened.about != "advice"}
            case Branched():
                going.clear()
    return tuple(found)


@dataclass(slots=True)
class _Played:
    """A conversation, and how many of its replies were given again."""

    recorded: Conversation
    turns: int = 0


class Recorded:
    """A model that says what was said then (the port ``Model``).

    Replies are found by what was asked: persona and tools (the digest of the stable prefix), model, question, and the
    conversation so far. Where the same was asked more than once, the ledger's order decides.

    Args:
        events: of one run.
        loosely: questions and what tools said need not be the same, only persona, tools, model and order: for a world
            that tells of other times or commits.
    """

    def __init__(self, events: Iterable[Event], *, loosely: bool = False) -> None:
        self._played = [_Played(known) for known in conversations(events)]
        self._loosely = loosely

    def answer(self, ask: Ask, hear: Callable[[str], None] = nobody_hears) -> Answer:
        """The reply of then.

        Raises:
            ModelFailed: ``recording-differs``; or what the model failed with then.
        """
        turn, played = _turn(ask), self._found(ask)
        known, played.turns = played.recorded, turn + 1
        if turn >= len(known.answers):
            raise _end(known)
        reply = known.answers[turn]
        for block in reply.content:
            if block.get("type") == "text" and block.get("text"):
                hear(str(block["text"]))
        return Answer(tuple(deepcopy(reply.content)), reply.stop, reply.model, usage_of(reply))

    def count(self, ask: Ask) -> int:
        """How many input tokens the endpoint counted when it answered this. Raises ModelFailed."""
        answers, turn = self._found(ask).recorded.answers, _turn(ask)
        if turn >= len(answers):
            return 0
        used = usage_of(answers[turn])
        return used.input + used.cache_read + used.cache_write

    def close(self) -> None:
        """Nothing is held."""

    def unplayed(self) -> tuple[str, ...]:
        """Which conversations were not asked for again: who, where, for what."""
        return tuple(item.recorded.place for item in self._played if not item.turns and item.recorded.answers)

    def _found(self, ask: Ask) -> _Played:
        prefix = digest({"system": list(ask.system), "tools": list(ask.tools)})
        of_agent = [item for item in self._played if item.recorded.opened.prefix == prefix]
        if not of_agent:
            there = "; ".join(dict.fromkeys(item.recorded.place for item in self._played)) or "nobody"
            raise _differs(
                f"nobody was asked with this persona and these tools (digest {prefix[:12]}); asked were: {there}"
            )
        of_model = [item for item in of_agent if item.recorded.opened.model == ask.model]
        if not of_model:
            known = of_agent[0].recorded
            raise _differs(f"{known.place} was asked of {known.opened.model}, and now of {ask.model}")
        prompt = _text(ask.messages[0]) if ask.messages else ""
        fitting = [item for item in of_model if self._loosely or item.recorded.opened.prompt == prompt]
        if not fitting:
            known = next((item for item in of_model if not item.turns), of_model[0]).recorded
            raise _differs(f"the question to {known.place}: {_difference(known.opened.prompt, prompt)}")
        return self._next(fitting, ask)

    def _next(self, fitting: list[_Played], ask: Ask) -> _Played:
        """Of conversations that begin alike, the one that this request goes on with."""
        turn, why = _turn(ask), ""
        # One that has come just so far; one that a resume goes on with; the last request once more.
        ranked = [item for item in fitting if item.turns == turn]
        ranked += [item for item in fitting if turn and not item.turns]
        ranked += [item for item in fitting if item.turns == turn + 1]
        for item in ranked:
            found = self._unlike(item.recorded, ask)
            if not found:
                return item
            why = why or found
        known = fitting[0].recorded
        times = f"{known.place} was asked {len(fitting)} times, and now once more" if len(fitting) > 1 else ""
        raise _differs(why or times or f"{known.place} was asked this once, and now again")

    def _unlike(self, known: Conversation, ask: Ask) -> str:
        """What is not as it was up to this request; empty where all is."""
        told = list(_messages(known, _turn(ask)))
        if len(told) != len(ask.messages):
            return f"the conversation of {known.place} had {len(told)} messages here, not {len(ask.messages)}"
        for number, (then, now) in enumerate(zip(told[1:], ask.messages[1:], strict=True), start=2):
            was, found = _compared(then, self._loosely), _compared(now, self._loosely)
            if was != found:
                return f"message {number} of {known.place}: {_difference(was, found)}"
        return ""


def usage_of(reply: ModelAnswered) -> Usage:
    """What a recorded reply cost, in tokens."""
    known = {name: value for name, value in reply.usage.items() if type(value) is int}
    return Usage(
        known.get("input", 0), known.get("output", 0), known.get("cache_read", 0), known.get("cache_write", 0)
    )  # fmt: skip


def exported(text: str, name: str) -> tuple[Event, ...]:
    """The events of what ``pilothouse audit show RUN --json`` printed, on whichever machine.

    They are read, not verified: ``audit verify`` does that, where the ledger is.

    Args:
        text: the JSON.
        name: of the file, for messages.

    Raises:
        InvalidFile: it is no such export.
    """
    try:
        told = json.loads(text)
    except ValueError:
        raise InvalidFile(name, 0, "this is not JSON", _EXPORT) from None
    if not isinstance(told, dict) or told.get("schema") != EXPORTED or not isinstance(told.get("events"), list):
        raise InvalidFile(name, 0, f"this is no {EXPORTED}", _EXPORT)
    chain, run = str(told.get("chain")), str(told.get("run"))
    try:
        return tuple(
            Event(chain, row["seq"], row["prev"], run, row["at"], fact_from_json(row["kind"], row["fact"]), row["hash"])
            for row in told["events"]
        )
    except (KeyError, TypeError) as error:
        raise InvalidFile(name, 0, f"an event is not whole: {error}", _EXPORT) from None
    except LedgerCorrupt as error:
        raise InvalidFile(name, 0, error.message, "read it with the version that wrote it, or a newer one") from None


_EXPORT = "make one: pilothouse audit show RUN --json > FILE"


def load(path: Path, *, loosely: bool = False) -> Recorded:
    """A recording from an exported file. Raises InvalidFile."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(str(path), 0, f"it cannot be read: {error}", _EXPORT) from None
    return Recorded(exported(text, str(path)), loosely=loosely)


def _turn(ask: Ask) -> int:
    """How many replies the conversation holds."""
    return sum(isinstance(item, dict) and item.get("role") == "assistant" for item in ask.messages)


def _messages(known: Conversation, turns: int) -> Iterator[Json]:
    """The conversation as it was sent, up to so many replies."""
    yield {"role": "user", "content": known.opened.prompt}
    for answer in known.answers[:turns]:
        yield {"role": "assistant", "content": list(answer.content)}
        results: list[Json] = [
            {"type": "tool_result", "tool_use_id": item.call, "content": item.result, "is_error": item.failed}
            for item in known.results(answer.turn)
        ]
        if results:
            yield {"role": "user", "content": results}


def _compared(message: Json, loosely: bool) -> str:  # noqa: FBT001
    """A message as one text; what tools said is left out where it need not be the same."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return json.dumps(message, ensure_ascii=False, sort_keys=True)
    blocks = []
    for block in message["content"]:  # type: ignore[union-attr] # it is a list, as was asked above
        if isinstance(block, dict) and block.get("type") == "tool_result":
            said = {} if loosely else {"content": _text(block), "is_error": bool(block.get("is_error"))}
            blocks.append({"tool_use_id": block.get("tool_use_id"), **said})
        elif isinstance(block, dict):
            blocks.append({key: value for key, value in block.items() if key != "cache_control"})
    return json.dumps({"role": message.get("role"), "content": blocks}, ensure_ascii=False, sort_keys=True)


def _text(message: Json) -> str:
    """The text of a message or of a tool's result, whether it stands there as such or in blocks."""
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return content if isinstance(content, str) else ""


def _difference(then: str, now: str) -> str:
    """Where two texts part, with a little of both."""
    pairs = enumerate(zip(then, now, strict=False))
    at = next((place for place, (one, other) in pairs if one != other), min(len(then), len(now)))
    start = max(0, at - _AROUND)
    shown = (repr(text[start : at + _AROUND]) for text in (then, now))
    return "from character {} on, it was {} and is {}".format(at + 1, *shown)


def _end(known: Conversation) -> ModelFailed:
    last = known.ended.fact if known.ended else None
    if isinstance(last, FellBack) and last.reason_code.startswith("model-"):
        return ModelFailed(last.reason_code, last.message)
    return _differs(f"{known.place} gave {len(known.answers)} replies, and is asked for one more")


def _differs(what: str) -> ModelFailed:
    return ModelFailed("recording-differs", what, _HINT)
