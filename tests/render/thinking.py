"""Runs in which agents think on a model: told with the same facts, in the same order, as the engine writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pilothouse.canonical import digest
from pilothouse.events import (
    Advised,
    Consulted,
    FellBack,
    HandedOff,
    ModelAnswered,
    Refused,
    ToolAnswered,
    VerdictGiven,
)
from pilothouse.ports import Ask
from render import story
from render.story import Story

MODEL = "claude-sonnet-5"
PERSONA = "You are the QA engineer. You sign off what was verified."
LOGS: dict[str, Any] = {
    "name": "logs_scan",
    "description": "Read the log.",
    "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
}
QUESTION = "Staging of acme 1.4.0 is to be signed off.\n\ne-013 tests.run: smoke 7/7\n" + "".join(
    f"line {n} of what the smoke suite wrote\n" for n in range(1, 21)
)
RESULT = (
    '<data from="logs.scan" trust="none">\n{"clean": false, "lines": ["WARN \x1b[2J\u202epayment retried"]}\n</data>'
)
HOLD = {"answer": "hold", "reasons": ["payments are retried on staging since this version"], "cites": ["e-013"]}
GO = {"answer": "go", "reasons": ["smoke 7 of 7; the log is as it was"], "cites": ["e-013"]}


def prefix(persona: str = PERSONA) -> str:
    return digest({"system": [persona], "tools": [LOGS]})


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def called(identity: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": "logs_scan", "input": arguments}


def thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": "s"}


class Thinking(Story):
    """A story with consultations."""

    def asked(
        self, step: str, agent: str, about: str = "verdict", prompt: str = QUESTION, persona: str = PERSONA
    ) -> None:
        self.tell(Consulted(step, agent, about, MODEL, prefix(persona), prompt), 0.1)

    def replied(
        self, step: str, turn: int, *blocks: dict[str, Any], stop: str = "end_turn", cost: int = 12_300
    ) -> None:
        usage = {"input": 1204, "output": 380, "cache_read": 10_022, "cache_write": 0}
        self.tell(ModelAnswered(step, turn, MODEL, blocks, stop, usage, 11_606, cost, 2400), 2.4)

    def told(self, step: str, turn: int, identity: str, result: str = RESULT, failed: bool = False) -> None:
        self.tell(ToolAnswered(step, turn, identity, "logs_scan", {}, result, failed), 0.3)

    def considered(self, step: str, agent: str, final: dict[str, Any], about: str = "verdict") -> None:
        """A whole conversation: a look at the log, and then the answer."""
        self.asked(step, agent, about)
        look = [thought("The log first."), said("I look at staging's log."), called(f"{step}-1")]
        self.replied(step, 0, *look, stop="tool_use")
        self.told(step, 0, f"{step}-1")
        self.replied(step, 1, said(json.dumps(final)))

    def ask_of(self, step: str, turn: int, nth: int = 0, **changes: Any) -> Ask:
        """The request that the engine made there."""
        opened = [e.fact for e in self.events if isinstance(e.fact, Consulted) and e.fact.step == step][nth]
        messages: list[Any] = [{"role": "user", "content": opened.prompt}]
        answers = [e.fact for e in self.events if isinstance(e.fact, ModelAnswered) and e.fact.step == step]
        for answer in answers[:turn]:
            messages.append({"role": "assistant", "content": list(answer.content)})
            results = [
                {"type": "tool_result", "tool_use_id": e.fact.call, "content": e.fact.result, "is_error": e.fact.failed}
                for e in self.events
                if isinstance(e.fact, ToolAnswered) and (e.fact.step, e.fact.turn) == (step, answer.turn)
            ]
            if results:
                messages.append({"role": "user", "content": results})
        return replace(Ask(MODEL, (PERSONA,), (LOGS,), tuple(messages), None, 8000), **changes)


class Asking(Thinking):
    """A story whose staging sign-off is given on a model."""

    def go(self, step: str, agent: str, *cites: str) -> None:
        if step != "staging-signoff":
            super().go(step, agent, *cites)
            return
        self.considered(step, agent, GO)
        self.tell(VerdictGiven(step, agent, "go", tuple(GO["reasons"]), cites, MODEL))


def until_signoff(made: Thinking) -> Thinking:
    story.readied(made)
    made.events = made.events[:-1]
    return made


def held(made: Thinking | None = None) -> Thinking:
    """The QA Engineer looks at the log on a model, and holds the staging sign-off."""
    made = until_signoff(made or Thinking())
    made.considered("staging-signoff", "qa-engineer", HOLD)
    made.tell(VerdictGiven("staging-signoff", "qa-engineer", "hold", tuple(HOLD["reasons"]), ("e-013",), MODEL))
    return made


def shipped() -> Thinking:
    """Shipped, with a go that was given on a model."""
    made = Asking()
    story.done(made)
    return made


def fell_back(made: Thinking | None = None) -> Thinking:
    """No model answered, and the scripted agent went on."""
    made = until_signoff(made or Thinking())
    made.asked("staging-signoff", "qa-engineer")
    made.tell(FellBack("staging-signoff", "qa-engineer", "model-unavailable", "127.0.0.1:9 did not answer"), 3.0)
    made.go("staging-signoff", "qa-engineer", "e-013")
    return made


ADVICE = {"kind": "flake", "severity": "low", "message": "one test of ten failed by a timeout of 2 s"}


def advised(made: Thinking | None = None) -> Thinking:
    """A suite failed; the QA Engineer hands over, the DevOps Engineer says what it is and recommends a remedy."""
    made = made or Thinking()
    story.suite_red(made)
    assert isinstance(made.events[-1].fact, Refused)
    made.asked("smoke", "qa-engineer", "advice", "What failed here?")
    made.replied("smoke", 0, said("{}"))
    made.tell(HandedOff("smoke", "qa-engineer", "devops-engineer", "failing-deployment", ("e-002",), MODEL))
    plan = ("Run e2e once more, and nothing else.", "If it fails again, mend the timeout.")
    made.tell(
        Advised(
            "smoke", "qa-engineer", "advice", ADVICE["kind"], ADVICE["severity"], ADVICE["message"], "run-again", plan,
            ("e-002",), MODEL,
        )
    )  # fmt: skip
    return made
