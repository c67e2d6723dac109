"""The conductor on a model, for a session: made when the first free words come; where there is none, code answers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.chat.answers import told
from pilothouse.chat.asking import models_of, policy_of, spent_by_runs
from pilothouse.chat.keeping import Journal
from pilothouse.chat.looks import TOOLS, Looks, fenced
from pilothouse.chat.questions import holds_a_word
from pilothouse.chat.speech import Speech
from pilothouse.chat.talking import PERSONA, Talk
from pilothouse.engine.world import iso
from pilothouse.playbook.find import list_personas, load_templates
from pilothouse.playbook.persona import parse as parse_persona
from pilothouse.policies import held_by
from pilothouse.redaction import redactor
from pilothouse.render.screen import Line, Tone
from pilothouse.render.text import safe
from pilothouse.views import run_json
from pilothouse.workspace import Request

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.chat.orders import Order
    from pilothouse.chat.session import Session
    from pilothouse.guard.policy import Constraints
    from pilothouse.guard.state import RunState
    from pilothouse.redaction import Redactor
    from pilothouse.settings import Models

BRIEF = "briefs/conductor.md.j2"
_RUNS = 5


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model said (it was shown as it came), what follows it, and the order that it proposes."""

    lines: list[Line]
    order: Order | None = None
    failed: bool = False


@dataclass(slots=True)
class Thinker:
    """A session's model, or the reason why there is none.

    Args:
        session: whose looks it takes.
    """

    session: Session
    _talk: Talk | None = field(default=None)
    _why_not: str = field(default="")
    _looked: bool = field(default=False)
    _told: bool = field(default=False)

    def answer(self, text: str) -> Thought | None:
        """What a model says to free words; None where no model is configured, or the line is not for one."""
        if holds_a_word(text):
            return None
        talk = self._talking()
        width = self.session.width()
        if talk is None:
            if self._told or not self._why_not:
                return None
            self._told = True
            return Thought(told(safe(self._why_not, 400), width, Tone.DIM), failed=True)
        session = self.session
        speech = Speech(talk.redact, width)
        looks = Looks(session.app, self._rehearsed, self.held, session.at_work, session.notice)
        session.notice("thinking")
        said = talk.turn(text, self._setting(), looks, lambda piece: session.show(speech.take(piece)))
        session.show(speech.rest())
        if said.failed:
            note = f"(No answer of the model's that counts: {safe(said.failed, 200)}. What code knows:)"
            return Thought(told(note, width, Tone.DIM), failed=True)
        return Thought([], looks.order)

    def held(self, product: str) -> Constraints:
        """What holds a product now, by the policy on its base branch."""
        return held_by(self.session.app, policy_of(self.session.app, product), product)

    def forget(self) -> None:
        """Begin a new conversation."""
        if self._talk is not None:
            self._talk.forget()

    def close(self) -> None:
        """Give the model's connections back: the facade that made it does."""
        self._talk = None

    def _talking(self) -> Talk | None:
        if not self._looked:
            self._looked = True
            session = self.session
            product = session.talked_of or session.products()[0]
            models, self._why_not = models_of(session.app, product, session.environ)
            if models is not None:
                self._talk = self._made(models)
        return self._talk

    def _made(self, models: Models) -> Talk:
        session = self.session
        redact = _redact(session, models)
        journal = Journal(session.project, redact, lambda: iso(session.app.clock.now()), secrets.token_hex(4))
        return Talk(
            session.app.model(models), models, self._system(), journal, redact,
            lambda: spent_by_runs(session.app),
        )  # fmt: skip

    def _system(self) -> tuple[str, ...]:
        from pilothouse_tools.templates import render

        project = self.session.project
        found = next(item for item in list_personas(project) if item.name == PERSONA)
        configuration = config.load(project)
        names: list[Json] = [str(tool["name"]) for tool in TOOLS if isinstance(tool, dict)]
        values: dict[str, Json] = {
            "products": [*configuration.products], "workflow": configuration.workflow, "tools": names,
        }  # fmt: skip
        return parse_persona(found.text(), found.shown).body, render(load_templates(project), BRIEF, values)

    def _setting(self) -> str:
        session = self.session
        runs: list[Json] = [run_json(state) for state in session.app.runs()[-_RUNS:]]
        told_: Json = {"talked_of": session.talked_of, "run_talked_of": session.run, "latest_runs": runs}
        return fenced("host", told_)

    def _rehearsed(self, product: str) -> tuple[RunState, list[str]]:
        return self.session.rehearse(Request(product, dry_run=True))


def _redact(session: Session, models: Models) -> Redactor:
    """Takes out what the project holds, and the key, wherever its name stands."""
    made = redactor(session.project, session.environ)
    key = session.environ.get(models.key_variable, "")
    return made.also([(models.key_variable, key)]) if key else made
