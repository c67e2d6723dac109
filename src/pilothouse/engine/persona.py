"""One agent's turn on a model: ask, write down what it said, run the tools it may use, until it has answered.

Every reply and every tool result is in the ledger before it is used, and the conversation is built from the ledger
alone, so that a resume never asks again (I31). What comes back is data: the caller checks it, and no effect depends on
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from threading import Thread
from time import monotonic

from pilothouse.canonical import Json, canonical, digest
from pilothouse.engine.looks import RESULT, Look
from pilothouse.engine.world import Log, iso
from pilothouse.errors import ChainMoved, LedgerError, ModelFailed, ToolFailed
from pilothouse.events import Consulted, Fact, ModelAnswered, ToolAnswered
from pilothouse.guard.budget import LEAST, Spent, exhausted, left, room, spent, together
from pilothouse.guard.fold_consultations import ADVICE
from pilothouse.guard.state import Consultation
from pilothouse.model import Step
from pilothouse.ports import Answer, Ask, Model, Usage
from pilothouse.settings import Models, PersonaModel

_CALLS = 8  # tool calls of one reply that are carried out; the others are told that they were too many
_CHARS_A_TOKEN = 3  # a cautious estimate: texts have about four
_NEAR = 5  # where an estimate comes within a fifth of a limit, the endpoint is asked to count


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent is asked.

    Attributes:
        agent: the persona's name.
        about: what for (``guard/fold_consultations.py``).
        thinks: its model, effort and limits.
        system: the stable prefix, the persona's text first.
        tools: by the name that the model uses.
        prompt: the question with its evidence, strangers' texts fenced.
        answer: the JSON Schema of the final answer.
    """

    agent: str
    about: str
    thinks: PersonaModel
    system: tuple[str, ...]
    tools: Mapping[str, Look]
    prompt: str
    answer: Json


class Unheard(Exception):
    """The model gave no answer that can be used."""

    def __init__(self, reason_code: str, message: str, took: int = 0) -> None:
        super().__init__(message)
        self.reason_code, self.message, self.took = reason_code, message, took  # milliseconds


class NotNow(Exception):
    """There is no time for a further turn before something that is due; the conversation goes on later."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation: who asks what of whom, within which limits. ``until``: when something else is due."""

    log: Log
    step: Step
    brief: Brief
    model: Model
    models: Models
    today: Spent
    until: datetime | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the ledger has this conversation, and has no end of it."""
        found = self.log.state.consultations.get(self.step.id)
        return found is not None and (found.opened.agent, found.opened.about) == (self.brief.agent, self.brief.about)

    @property
    def known(self) -> Consultation:
        """The conversation as the ledger has it. Raises Unheard where it came to an end elsewhere."""
        found = self.log.state.consultations.get(self.step.id)
        if found is None or not self.goes_on:
            raise Unheard("model-interrupted", "the conversation came to an end meanwhile")
        return found


def consult(talk: Talk) -> tuple[dict[str, Json], str]:
    """Ask an agent, or go on with a conversation that a kill interrupted.

    Returns:
        Its final answer, as it gave it, and the model.

    Raises:
        Unheard: no whole answer, or a budget is spent.
        NotNow: something else is due first.
        ChainMoved, LeaseLost: as ``Log.append``.
    """
    prefix = digest({"system": list(talk.brief.system), "tools": _tools(talk.brief)})
    if asked_already(talk.log, talk.step, talk.brief.about) is None:
        brief = talk.brief
        _keep(talk, Consulted(talk.step.id, brief.agent, brief.about, brief.thinks.model, prefix, brief.prompt))
    if talk.known.opened.prefix != prefix:
        raise Unheard("persona-changed", f"{talk.brief.agent} or its tools changed in the middle of a conversation")
    while True:
        final = _final(talk.known)
        if final is not None:
            return final, talk.known.opened.model  # as configured: an endpoint may call itself anything
        if calls := talk.known.unanswered():
            _carry_out(talk, calls)
        else:
            _ask(talk)


def asked_already(log: Log, step: Step, about: str) -> Consultation | None:
    """The conversation that goes on at a step, of the kind that is meant; trouble ends those of every other kind."""
    known = log.state.consultations.get(step.id)
    return known if known is not None and (known.opened.about == about or about != ADVICE) else None


def _keep(talk: Talk, fact: Fact) -> None:
    """Make a fact durable, whoever else wrote meanwhile: what was answered is never asked again."""
    while True:
        try:
            return talk.log.append(fact)
        except ChainMoved:
            talk.log.refresh()
            if talk.log.state.over or not talk.goes_on:
                raise  # nobody waits for it any more (a person resumed, ended or settled the run): decide anew
        except LedgerError as refused:
            if refused.reason_code != "ledger-bad-fact":
                raise
            raise Unheard("model-malformed", f"what was said cannot be written down: {refused.message}") from refused


def _ask(talk: Talk) -> None:
    known, brief, models = talk.known, talk.brief, talk.models
    own = together(spent(known.answers), Spent(seconds=known.lost_ms // 1000))
    state, day = talk.log.state, iso(talk.log.world.now())[:10]
    lost = Spent(turns=len(state.model_misses), seconds=sum(took for _, took in state.model_misses) // 1000)
    run = together(spent(fact for _, fact in state.model_answers), lost)
    mine = together(
        spent(fact for at, fact in state.model_answers if at.startswith(day)),
        Spent(turns=sum(at.startswith(day) for at, _ in state.model_misses)),
    )  # fmt: skip
    used = {"step": own, "run": run, "day": together(talk.today, mine)}
    refused = exhausted(used, models.budgets)
    if refused is None and own.turns >= brief.thinks.turns:
        raise Unheard("budget-spent", f"{brief.agent} has had its {brief.thinks.turns} turns")
    if refused is not None:
        raise Unheard(refused.reason_code, refused.message)
    rest = left(used, models.budgets, "seconds")
    ask = Ask(
        known.opened.model, brief.system, tuple(_tools(brief)), tuple(_messages(known)), brief.answer,
        brief.thinks.max_tokens, brief.thinks.effort, _seconds(talk, rest),
    )  # fmt: skip
    ask = _within(talk, ask, left(used, models.budgets, "tokens"), left(used, models.budgets, "cost"))
    ask = replace(ask, seconds=_seconds(talk, rest))  # counting took some
    began = monotonic()
    try:
        answer = talk.model.answer(ask)
    except ModelFailed as failure:
        took = int((monotonic() - began) * 1000)
        raise Unheard(failure.reason_code, failure.message, took) from failure
    _keep(talk, _recorded(talk, len(known.answers), ask, answer, int((monotonic() - began) * 1000)))
    talk.log.world.boundary("after-answer", talk.step.id)


def _seconds(talk: Talk, rest: int | None) -> int:
    """How long a turn may take. Raises NotNow where that is too little to begin."""
    if talk.until is None:
        return max(1, rest or 0) if rest is not None else 0
    gap = int((talk.until - talk.log.world.now()).total_seconds()) - 1
    if gap < 2:  # less is no turn
        raise NotNow
    return min(gap, rest) if rest is not None else gap


def _within(talk: Talk, ask: Ask, tokens: int | None, cost: int | None) -> Ask:
    """The same request with as many tokens for its reply as the budgets leave. Raises Unheard."""
    sent = _size(ask) // _CHARS_A_TOKEN
    prices = talk.models.prices.get(ask.model)
    most = room(ask.max_tokens, sent, tokens, cost, prices)
    if most < ask.max_tokens or (tokens is not None and (sent + ask.max_tokens) * _NEAR > tokens * (_NEAR - 1)):
        with suppress(ModelFailed):  # then the estimate must do, and it is a cautious one
            sent = max(sent // 2, talk.model.count(ask))  # an endpoint that counts too little is not believed
        most = room(ask.max_tokens, sent, tokens, cost, prices)
    if most < LEAST:
        raise Unheard("budget-spent", "a further turn would overrun a budget")
    return replace(ask, max_tokens=most)


def _size(ask: Ask) -> int:
    return sum(len(json.dumps(list(part), ensure_ascii=False)) for part in (ask.messages, ask.tools, ask.system))


def _recorded(talk: Talk, turn: int, ask: Ask, answer: Answer, took: int) -> ModelAnswered:
    most = 10**9  # of tokens: what an endpoint claims beyond it is no number of tokens
    used = Usage(*(min(getattr(answer.usage, name), most) for name in ("input", "output", "cache_read", "cache_write")))
    told = used.input + used.output + used.cache_read + used.cache_write
    # An endpoint that reports less than half of what was sent is counted by what was sent.
    least = (_size(ask) + len(json.dumps(list(answer.content), ensure_ascii=False))) // _CHARS_A_TOKEN // 2
    prices = talk.models.prices.get(ask.model)
    cost = 0
    if prices is not None:
        cost = prices.cost(tokens_in=used.input + max(0, least - told), out=used.output, cache_read=used.cache_read,
                           cache_write=used.cache_write)  # fmt: skip
        cost = min(cost, 2**52)
    content = tuple(item for item in answer.content if isinstance(item, dict))
    usage: dict[str, Json] = {
        "input": used.input, "output": used.output, "cache_read": used.cache_read, "cache_write": used.cache_write
    }  # fmt: skip
    return ModelAnswered(
        talk.step.id, turn, answer.model or ask.model, content, answer.stop, usage, max(told, least), cost, took
    )  # fmt: skip


def _messages(known: Consultation) -> list[Json]:
    """The conversation as the Messages API has it, from the ledger alone."""
    messages: list[Json] = [{"role": "user", "content": known.opened.prompt}]
    for answer in known.answers:
        messages.append({"role": "assistant", "content": list(answer.content)})
        results: list[Json] = [
            {"type": "tool_result", "tool_use_id": item.call, "content": item.result, "is_error": item.failed}
            for item in known.results
            if item.turn == answer.turn
        ]
        if results:
            messages.append({"role": "user", "content": results})
    return messages


def _tools(brief: Brief) -> list[Json]:
    return [
        {"name": name, "description": look.about, "input_schema": look.schema, "strict": True}
        for name, look in brief.tools.items()
    ]


def _carry_out(talk: Talk, calls: list[dict[str, Json]]) -> None:
    turn = talk.known.answers[-1].turn
    earlier = sum(item.turn == turn for item in talk.known.results)  # before a kill: they count, too
    given = [call.get("input") if isinstance(call.get("input"), dict) else {} for call in calls]
    jobs = [
        partial(_result, talk.brief, number, str(call.get("name")), arguments)  # type: ignore[arg-type]
        for number, (call, arguments) in enumerate(zip(calls, given, strict=True), earlier)
    ]
    for call, arguments, (result, failed) in zip(calls, given, _at_once(jobs, _patience(talk)), strict=True):
        if str(call.get("id")) not in {str(item.get("id")) for item in talk.known.unanswered()}:
            continue  # two calls by one id are one call
        name = str(call.get("name"))[:80]
        _keep(talk, ToolAnswered(talk.step.id, turn, str(call.get("id")), name, arguments, result, failed))  # type: ignore[arg-type]
        talk.log.world.boundary("after-tool", talk.step.id)


def _patience(talk: Talk) -> float:
    """How many seconds the tools of one reply have. Raises NotNow where something else is due first."""
    longest = float(talk.models.budgets["step"].seconds)
    if talk.until is None:
        return longest
    gap = (talk.until - talk.log.world.now()).total_seconds() - 1
    if gap < 1:
        raise NotNow
    return min(gap, longest)


def _at_once(jobs: Sequence[Callable[[], tuple[str, bool]]], seconds: float) -> list[tuple[str, bool]]:
    """What all of them say; who is not done in time is left behind, and has only looked."""
    found: dict[int, tuple[str, bool]] = {}

    def work(number: int) -> None:
        try:
            found[number] = jobs[number]()
        except Exception as error:  # noqa: BLE001  # a look that breaks is one more thing to tell, and ends no run
            found[number] = f"the look failed: {type(error).__name__}", True

    threads = [Thread(target=work, args=(number,), daemon=True) for number in range(len(jobs))]
    until = monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return [found.get(number, (f"not done within {int(seconds)} seconds", True)) for number in range(len(jobs))]


def _result(brief: Brief, number: int, name: str, arguments: Mapping[str, Json]) -> tuple[str, bool]:
    """What a tool says to a call, and whether it was refused."""
    if number >= _CALLS:
        return f"not carried out: more than {_CALLS} calls in one reply", True
    if name not in brief.tools:
        return f"there is no tool {name[:80]!a} here; there are: {', '.join(brief.tools) or 'none'}", True
    if "malformed_input" in arguments:
        return f"not carried out: {str(arguments['malformed_input'])[:300]}", True
    if len(canonical(dict(arguments))) > RESULT:
        return "not carried out: the arguments are too long", True
    try:
        return brief.tools[name].call(arguments), False
    except ToolFailed as failure:
        return f"{failure.reason_code}: {failure.message}. {failure.hint}"[:2000], True


def _final(known: Consultation) -> dict[str, Json] | None:
    """The structured answer, once the model has ended its turn; None where it goes on.

    Raises:
        Unheard: it ended without one.
    """
    if not known.answers or known.unanswered():
        return None
    last = known.answers[-1]
    if last.stop in {"tool_use", "pause_turn"}:
        if not last.content:
            raise Unheard("model-malformed", "the model's reply is empty")
        return None
    if last.stop != "end_turn":
        raise Unheard(_STOPS.get(last.stop, "model-malformed"), f"the model stopped: {last.stop[:60]}")
    text = "".join(str(item.get("text", "")) for item in last.content if item.get("type") == "text")
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")  # some endpoints fence it
    try:
        found = json.loads(bare, parse_float=str)
        canonical(found)  # what the ledger cannot hold (half a surrogate pair, a huge number) is no answer either
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unheard("model-malformed", "the model's answer is not the JSON object that was asked for")
    return found


_STOPS = {
    "max_tokens": "model-max-tokens", "refusal": "model-refusal",
    "model_context_window_exceeded": "model-context-exceeded", "stop_sequence": "model-malformed",
}  # fmt: skip
