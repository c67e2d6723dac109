"""One turn of a conversation with the conductor on a model: it looks, answers, and may propose an order.

Every reply and every result is in the chat's journal before it is used. What comes back is text for a person, and at
most one order that the host shows and the person starts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pilothouse.canonical import Json
from pilothouse.chat.keeping import Journal
from pilothouse.chat.looks import TOOLS, Looks
from pilothouse.chat.questions import holds_a_word
from pilothouse.errors import ModelFailed
from pilothouse.guard.budget import LEAST, Spent, exhausted, left, room, together
from pilothouse.ports import Answer, Ask, Model
from pilothouse.settings import Models
from pilothouse.thinking import chats_spent

PERSONA = "conductor"
_CALLS = 6  # tool calls of one reply that are carried out
_EXCHANGES, _KEPT = 8, 12_000  # what is remembered: exchanges, and characters of them
_CHARS_A_TOKEN = 12  # a cautious floor, for endpoints that count too little
_SENT = 3  # characters of what is sent for a token: a cautious estimate, texts have about four
_NEAR = 5  # where that comes within a fifth of a limit, the endpoint is asked to count


@dataclass(frozen=True, slots=True)
class Said:
    """How a turn ended: ``failed`` says why there is no whole answer, and is empty where there is one."""

    text: str
    failed: str = ""


@dataclass(slots=True)
class Talk:
    """The conversation of one chat.

    Args:
        model: who answers.
        models: which model, and its budgets.
        system: the stable prefix, the persona first.
        journal: what is written before it is used.
        redact: takes held values out of what is sent.
        runs_today: what the runs' agents have used up today.
    """

    model: Model
    models: Models
    system: tuple[str, ...]
    journal: Journal
    redact: Callable[[str], str]
    runs_today: Callable[[], Spent]
    _remembered: list[tuple[str, str]] = field(default_factory=list)

    def forget(self) -> None:
        """Begin anew."""
        self._remembered.clear()

    def turn(self, said: str, setting: str, looks: Looks, hear: Callable[[str], None]) -> Said:
        """Ask, look, answer.

        Args:
            said: the person's line. One that holds a word of approval is refused: it may live on a terminal.
            setting: where the project stands, fenced.
            looks: the tools; afterwards ``looks.order`` is what was proposed.
            hear: pieces of the answer as they come.
        """
        if holds_a_word(said):
            return Said("", "a line with a word of approval is given to no model")
        begun, here = time.monotonic(), Spent()
        messages: list[Json] = [*self._before(), _user(self.redact(f"{setting}\n\nThe person says:\n{said}"))]
        self.journal.write("asked", {"said": said})
        while True:
            used = {
                "step": replace(here, seconds=int(time.monotonic() - begun)), "day": self._today(),
            }  # fmt: skip
            refused = exhausted(used, self.models.budgets)
            thinks = self.models.of(PERSONA)
            if refused is None and here.turns >= thinks.turns:
                return self._failed("budget-spent: the turns of an answer are spent")
            if refused is not None:
                return self._failed(f"{refused.reason_code}: {refused.message}")
            ask = self._within(
                Ask(thinks.model, self.system, TOOLS, tuple(messages), None, thinks.max_tokens, thinks.effort), used
            )
            if ask is None:
                return self._failed("budget-spent: a further turn would overrun a budget")
            try:
                answer = self.model.answer(ask, hear)
            except ModelFailed as failure:
                return self._failed(f"{failure.reason_code}: {failure.message}")
            spent = self._written(ask, answer)
            here = _sum((here, spent))
            messages.append({"role": "assistant", "content": list(answer.content)})
            calls = [item for item in answer.content if isinstance(item, dict) and item.get("type") == "tool_use"]
            if answer.stop == "pause_turn":
                continue
            if not calls or answer.stop != "tool_use":
                return self._ended(said, answer)
            hear("\n")
            messages.append({"role": "user", "content": self._carried_out(calls, looks)})

    def _within(self, ask: Ask, used: Mapping[str, Spent]) -> Ask | None:
        """The same request with as many tokens and seconds as the budgets leave; None where that is too little."""
        tokens, cost, seconds = (left(used, self.models.budgets, name) for name in ("tokens", "cost", "seconds"))
        prices, wanted = self.models.prices.get(ask.model), ask.max_tokens
        if seconds is not None:
            ask = replace(ask, seconds=max(1, seconds))
        sent = _size(ask) // _SENT
        most = room(wanted, sent, tokens, cost, prices)
        if most < wanted or (tokens is not None and (sent + wanted) * _NEAR > tokens * (_NEAR - 1)):
            with suppress(ModelFailed):  # then the estimate must do, and it is a cautious one
                sent = max(sent // 2, self.model.count(ask))  # an endpoint that counts too little is not believed
            most = room(wanted, sent, tokens, cost, prices)
        return replace(ask, max_tokens=most) if most >= LEAST else None

    def _carried_out(self, calls: list[dict[str, Json]], looks: Looks) -> list[Json]:
        results: list[Json] = []
        for number, call in enumerate(calls):
            name, given = str(call.get("name"))[:80], call.get("input")
            if number >= _CALLS:
                result, failed = f"not carried out: more than {_CALLS} calls in one reply", True
            elif not isinstance(given, dict) or "malformed_input" in given:
                result, failed = "not carried out: the arguments are no JSON object", True
            else:
                result, failed = looks.call(name, given)
            result = self.redact(result)
            self.journal.write("looked", {"call": str(call.get("id")), "tool": name, "arguments": given,
                                          "result": result, "failed": failed})  # fmt: skip
            results.append(
                {"type": "tool_result", "tool_use_id": call.get("id"), "content": result, "is_error": failed}
            )
        return results

    def _ended(self, said: str, answer: Answer) -> Said:
        text = "".join(
            str(item.get("text", ""))
            for item in answer.content
            if isinstance(item, dict) and item.get("type") == "text"
        )
        if answer.stop not in {"end_turn", "stop_sequence"}:
            return self._failed(f"model-{answer.stop.replace('_', '-')}: the model stopped", text)
        if not text.strip():
            return self._failed("model-malformed: the model said nothing")
        self._remembered.append((self.redact(said), text))
        return Said(text)

    def _failed(self, why: str, text: str = "") -> Said:
        self.journal.write("fell-back", {"why": why})
        return Said(text, why)

    def _before(self) -> Iterable[Json]:
        """What is remembered, from the latest backwards as far as it may be; whole exchanges."""
        kept: list[tuple[str, str]] = []
        size = 0
        for asked, answered in reversed(self._remembered[-_EXCHANGES:]):
            size += len(asked) + len(answered)
            if size > _KEPT:
                break
            kept.insert(0, (asked, answered))
        for asked, answered in kept:
            yield _user(asked)
            yield {"role": "assistant", "content": [{"type": "text", "text": answered}]}

    def _written(self, ask: Ask, answer: Answer) -> Spent:
        used = answer.usage
        told = used.input + used.output + used.cache_read + used.cache_write
        sent = _size(ask) + len(json.dumps(answer.content))
        prices = self.models.prices.get(ask.model)
        cost = prices.cost(tokens_in=used.input, out=used.output, cache_read=used.cache_read,
                           cache_write=used.cache_write) if prices else 0  # fmt: skip
        spent = Spent(max(told, sent // _CHARS_A_TOKEN), cost, 1)
        self.journal.write("reply", {
            "model": answer.model, "stop": answer.stop, "content": list(answer.content), "tokens": spent.tokens,
            "cost": spent.cost, "input": used.input, "output": used.output, "cache_read": used.cache_read,
            "cache_write": used.cache_write,
        })  # fmt: skip
        return spent

    def _today(self) -> Spent:
        return together(chats_spent(self.journal.project, self.journal.now()[:10]), self.runs_today())


def _size(ask: Ask) -> int:
    """Characters of a request."""
    return sum(len(json.dumps(item)) for item in (ask.messages, ask.tools, ask.system))


def _user(text: str) -> Json:
    return {"role": "user", "content": text}


def _sum(parts: Iterable[Spent]) -> Spent:
    listed = list(parts)
    return Spent(sum(p.tokens for p in listed), sum(p.cost for p in listed), sum(p.turns for p in listed))
