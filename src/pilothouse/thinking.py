"""Joining agents to a model: whose models a project's policy names, the personas' files, the briefs (``Thinking``).

Which endpoint gets the product's texts, and which variable holds its key, is read from the base branch: a working tree
that names others asks nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from pilothouse.engine.agents import Role
from pilothouse.engine.looks import fenced
from pilothouse.errors import ToolFailed
from pilothouse.events import ModelAnswered
from pilothouse.folder import own_folder
from pilothouse.guard.budget import Spent, spent, together
from pilothouse.playbook import persona
from pilothouse.playbook.find import list_personas
from pilothouse.settings import Models

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.canonical import Json
    from pilothouse.engine.world import Log
    from pilothouse.guard.state import Evidence
    from pilothouse.model import Step
    from pilothouse.ports import Clock, Journal, Model
    from pilothouse.settings import Configuration

CHATS = "chat.jsonl"  # in the project's own folder: what models said in chats
_FACTS = 6_000  # characters of one piece of evidence in a brief; the rest is read in slices
_BRIEF = {"verdict": "", "draft": "draft", "advice": "advice", "watch": "watch"}


def model_of(models: Models, environ: Mapping[str, str], redact: Callable[[str], str]) -> Model:
    """The model that a configuration names. Nothing is asked, and nothing slow is loaded, until its first question.

    Args:
        models: never those of a working tree: they say which address gets the key.
        environ: where the key is; only the model's client receives it.
        redact: takes held values out of text.
    """
    from pilothouse.llm.anthropic import AnthropicModel

    return AnthropicModel(models, environ, redact=redact)


def has_key(models: Models, environ: Mapping[str, str]) -> bool:
    """Whether the key that a configuration names is there; clouds have logins of their own, and local servers none."""
    return models.provider != "anthropic" or bool(models.profile) or bool(environ.get(models.key_variable))


class Home(Protocol):
    """What a desk needs of the project that it stands in."""

    @property
    def project(self) -> Path:
        """Its folder."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The conductor's environment."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def journal(self) -> Journal:
        """The ledger."""

    def model(self, models: Models) -> Model:
        """The model that a configuration names: one client as long as the project is open."""


class Desk:
    """What one run's agents think with.

    Args:
        app: the project.
        read: the configuration of the base branch, asked when it is needed first. Raises ToolFailed.
        templates: the run's, by name.
        run: its id.
    """

    def __init__(self, app: Home, read: Callable[[], Configuration], templates: Mapping[str, str], run: str) -> None:
        self._app, self._read, self._templates, self._run = app, read, templates, run
        self._models: Models | None = None
        self._roles: dict[str, Role] = {}

    def models(self) -> Models:
        """See ``engine.agents.Thinking``."""
        if self._models is None:
            found = self._read().models
            if found is None:
                raise ToolFailed("models-not-pushed", "the base branch names no models", "push pilothouse.yml there")
            if not has_key(found, self._app.environ):
                raise ToolFailed("model-credentials", f"{found.key_variable} is not set", "agents are scripted")
            self._models = found
        return self._models

    def model(self) -> Model:
        """See ``engine.agents.Thinking``. One client a project: connections are kept."""
        return self._app.model(self.models())

    def role(self, agent: str) -> Role:
        """See ``engine.agents.Thinking``."""
        if agent not in self._roles:
            found = next((file for file in list_personas(self._app.project) if file.name == agent), None)
            if found is None:
                raise ToolFailed("unknown-persona", f"there is no persona {agent}", f"add agents/{agent}.md")
            parsed = persona.parse(found.text(), found.shown)
            self._roles[agent] = Role(agent, parsed.body.strip(), parsed.observes, parsed.handoffs)
        return self._roles[agent]

    def composes(self, tool: str) -> Json | None:
        """See ``engine.agents.Thinking``."""
        from pilothouse_tools.draft.composed import SCHEMAS

        return SCHEMAS.get(tool)

    def today(self) -> Spent:
        """See ``engine.agents.Thinking``."""
        day = self._app.clock.now().strftime("%Y-%m-%d")
        return together(
            spent_today(self._app.journal, day, but=self._run), chats_spent(self._app.project, day)
        )  # fmt: skip

    def prompt(self, log: Log, step: Step, agent: str, about: str, asked: Mapping[str, Json]) -> str:
        """See ``engine.agents.Thinking``."""
        from pilothouse_tools.templates import render

        name = f"briefs/{_BRIEF[about] or step.target}.md.j2"
        return render(self._templates, name, values(log, step, agent, asked))


def values(log: Log, step: Step, agent: str, asked: Mapping[str, Json]) -> dict[str, Json]:
    """What a brief sees: the run, the step, its gates as code judged them, evidence, and what the question adds."""
    state = log.state
    reads = asked.get("reads")
    ids = reads if isinstance(reads, list) else [item.id for item in _near(log, step)]
    found: dict[str, Json] = {
        "run": {
            "id": state.run, "product": state.started.product, "from_version": state.started.from_version,
            "from_sha": state.started.from_sha, "to_sha": state.started.to_sha,
            "version": str(state.facts().get("version", {}).get("version", "")),
        },
        "step": {"id": step.id, "agent": agent, "title": step.title or step.id},
        "evidence": [_shown(item) for item in state.evidence_by_id.values() if item.id in ids],
        "gates": [
            {"gate": gate, "passed": judged.passed, "message": judged.message}
            for (of, gate), judged in state.judged.items()
            if of == step.id
        ],
    }  # fmt: skip
    for name in ("trouble", "draft", "samples"):
        if name in asked:
            found[name] = _bounded(asked[name])
    if "remedies" in asked:
        found["remedies"] = asked["remedies"]
    if step.id in state.watches:
        watch = state.watches[step.id].opened
        found["watch"] = {"ends_at": watch.ends_at, "baseline": _bounded(watch.baseline), "rule": _bounded(watch.rule)}
    return found


def _near(log: Log, step: Step) -> list[Evidence]:
    """The evidence around a step that reads none by itself: what it rests on, and what came last."""
    latest = list(log.state.evidence_by_id.values())
    wanted = {*step.reads, *step.needs, step.id}
    return [item for item in latest if item.step in wanted or item in latest[-4:]]


def _shown(item: Evidence) -> Json:
    text = json.dumps(item.facts, ensure_ascii=False, sort_keys=True)
    return {
        "id": item.id, "step": item.step, "tool": item.tool or item.step, "sha": item.sha, "at": item.at[:19],
        "summary": item.summary, "facts": fenced(text, source=item.tool or item.step, identity=item.id, most=_FACTS),
    }  # fmt: skip


def _bounded(value: Json) -> Json:
    if isinstance(value, dict) and set(value) == {"reason_code", "message", "hint", "detail"}:
        detail = fenced(str(value["detail"]), source="log", most=_FACTS) if value["detail"] else ""
        return {**value, "detail": detail}
    return fenced(json.dumps(value, ensure_ascii=False, sort_keys=True), source="run", most=4 * _FACTS)


def spent_today(journal: Journal, day: str, *, but: str = "") -> Spent:
    """What models have used up on a day (``YYYY-MM-DD``, UTC), in all runs but one."""
    return spent(
        event.fact
        for chain in journal.chains()
        for event in journal.read(chain)
        if event.run != but and event.at.startswith(day) and isinstance(event.fact, ModelAnswered)
    )


def chats_spent(project: Path, day: str) -> Spent:
    """What the chats of a project have used up on a day (``YYYY-MM-DD``, UTC); what is no entry is passed over."""
    file = own_folder(project) / CHATS
    tokens = cost = turns = 0
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                entry = _reply(line) if f'"at": "{day}' in line and '"kind": "reply"' in line else None
                if entry is not None:
                    tokens, cost, turns = tokens + _whole(entry, "tokens"), cost + _whole(entry, "cost"), turns + 1
    return Spent(tokens, cost, turns)


def _reply(line: str) -> dict[str, Json] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _whole(entry: Mapping[str, Json], name: str) -> int:
    value = entry.get(name)
    return value if isinstance(value, int) else 0
