"""A toy world whose agents think: the engine, the guard, the fold and the ledger are real, the model is a function.

Thousands of conversations are wanted here, so the tools are a dictionary and the endpoint is a port; the shipped
personas' files say what each role may see, and the real desk fences what strangers wrote.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from guard_samples import product as sample_product
from pilothouse import events as e
from pilothouse.engine.advance import advance, explain
from pilothouse.engine.agents import Role
from pilothouse.engine.looks import fenced
from pilothouse.engine.world import World, iso
from pilothouse.errors import ToolFailed
from pilothouse.guard.budget import Spent
from pilothouse.guard.fold import fold
from pilothouse.guard.policy import Constraints
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.llm.scripted import ScriptedPersonas
from pilothouse.model import (
    Argument,
    Branch,
    EffectClass,
    Gate,
    Kind,
    Observation,
    Phase,
    Presence,
    Probe,
    Reach,
    Step,
    ToolSpec,
    Workflow,
)
from pilothouse.nets import GuardedJournal
from pilothouse.playbook import persona
from pilothouse.ports import Answer, Usage
from pilothouse.settings import Configuration, Models, Policy, Threshold, WatchRule
from pilothouse.thinking import values
from pilothouse_tools.door import admit
from pilothouse_tools.observe.slices import TOOLS as SLICES
from story import clearance, started

ROOT = Path(__file__).resolve().parents[2]
PERSONAS = tuple(sorted(file.stem for file in (ROOT / "agents").glob("*.md")))
WATCH = WatchRule(60_000, 20_000, Threshold(1, "points"), Threshold(50, "relative", "p95"))
PLANNED = ["stage", "one", "two", "three", "publish"]
UNDO = ["undo-two", "undo-one"]
COMPOSED = {
    "type": "object", "properties": {"headline": {"type": "string"}}, "required": ["headline"],
    "additionalProperties": False,
}  # fmt: skip


class Clock:
    """Time that moves a millisecond a look, and jumps where a test wants."""

    def __init__(self, start=datetime(2026, 11, 21, 9, 0, tzinfo=UTC)):
        self.time = start

    def now(self):
        self.time += timedelta(milliseconds=1)
        return self.time

    def sleep(self, seconds):
        self.jump(seconds)

    def jump(self, seconds):
        self.time += timedelta(seconds=seconds)


# --- tools --------------------------------------------------------------------------------------------------------

_ENV = {"environment": Argument("environment")}


def _spec(name, kind, effect=None, reach=None, **more):
    reach = reach if kind is Kind.ACT else Reach.WORKSPACE
    return ToolSpec(
        name, kind, name, {**_ENV, **more}, {"value": "text"}, reach, undoable=name != "seal", effect=effect
    )


_VALUE = Argument("text", required=False)
_BODY = Argument("text", text_body=True)
SPECS = {
    item.name: item
    for item in (
        _spec("health.check", Kind.OBSERVE),
        _spec("metrics.sample", Kind.OBSERVE),
        _spec("tests.run", Kind.OBSERVE),
        *(tool.spec for tool in SLICES),
        _spec("notes.render", Kind.DRAFT, composed=Argument("object", required=False, text_body=True)),
        _spec("set", Kind.ACT, EffectClass.KEYED, value=_VALUE),
        _spec("seal", Kind.ACT, EffectClass.KEYED, value=_VALUE),
        _spec("publish", Kind.ACT, EffectClass.KEYED, value=_VALUE, body=_BODY),
    )
}


@dataclass
class Tools:
    """``landed`` lists every effect in order. ``text`` is what a stranger wrote into what is observed."""

    text: str = "all is well"
    healthy: bool = True
    requests: int = 0
    errors: int = 0
    landed: list = field(default_factory=list)
    world: dict = field(default_factory=dict)
    observed: list = field(default_factory=list)
    applied: list = field(default_factory=list)
    breaks: set = field(default_factory=set)
    blind: set = field(default_factory=set)  # observe tools that fail

    def specs(self):
        return SPECS

    def observe(self, name, arguments):
        self.observed.append((name, dict(arguments)))
        if name in self.blind:
            raise ToolFailed("no-answer", f"it says: {self.text}")
        spec = SPECS[name]
        admit(spec, PRODUCT, arguments)  # the real door
        if name.startswith("git."):
            tool = next(tool for tool in SLICES if tool.spec.name == name)
            return tool.look(_NoRepository(self), _admitted(spec, arguments))
        if name == "metrics.sample":
            self.requests += 100
            buckets = [[1000, self.requests]]
            return Observation(
                {"requests": self.requests, "errors": self.errors, "buckets": buckets, "note": self.text}
            )
        if name == "notes.render":
            return self._notes(arguments)
        facts = {"healthy": self.healthy, "in_a_row": 1, "needed": 1, "value": "v", "note": self.text}
        return Observation(facts, "", "seen")

    def _notes(self, arguments):
        composed = arguments.get("composed")
        if composed is None:
            return Observation({"text": "plain notes", "headline": "plain"})
        headline = composed.get("headline") if isinstance(composed, dict) else None
        if not isinstance(headline, str) or "http" in headline or "#99" in headline or len(headline) > 200:
            raise ToolFailed("draft-refused", "the headline is not in this release")
        return Observation({"text": f"notes: {headline}", "headline": headline})

    def pins(self, name, arguments):
        return {"ref:main": "a"}

    def probe(self, name, arguments, key):
        target = f"{arguments['environment']}/{arguments['value']}"
        if target not in self.world:
            return Probe(Presence.ABSENT)
        if self.world[target] != key:
            return Probe(Presence.CONFLICT, "somebody else's")
        return Probe(Presence.APPLIED, "set", {"value": target})

    def apply(self, name, arguments, permit):
        self.applied.append(name)
        target = f"{arguments['environment']}/{arguments['value']}"
        if target in self.breaks:
            raise ToolFailed("no-effect", "it broke")
        self.landed.append((permit.step, name, {key: item for key, item in arguments.items() if key != "body"}))
        self.world[target] = permit.key

    def verify(self, name, arguments, key):
        return self.probe(name, arguments, key)


class _NoRepository:
    """A context whose repository says the stranger's text to every read, and notes which paths came through."""

    def __init__(self, tools):
        self.tools, self.redact = tools, lambda text: text
        self.repo = self

    def require(self, sha):
        assert re.fullmatch(r"[0-9a-f]{40}", sha)

    def run(self, *words, cap=0):
        raise ToolFailed("git-failed", f"not here: {self.tools.text[:200]}")

    def read(self, command, *words):
        path = words[-1]
        assert not path.startswith("/") and ".." not in path.split("/"), path
        if command == "ls-tree":
            return f"100644 blob {'b' * 40} 10\t{path}\0".encode()
        return self.tools.text.encode("utf-8", "replace").replace(b"\0", b"")


def _admitted(spec, arguments):
    return admit(spec, PRODUCT, arguments)


PRODUCT = sample_product(watch=WATCH)


# --- the workflow -------------------------------------------------------------------------------------------------


def _step(name, agent, kind, target, **more):
    return Step(name, agent, kind, target, **more)


def _act(name, tool="set", environment="production", **more):
    more.setdefault("checkpoint", "go" if environment == "production" else None)
    arguments = {"environment": environment, "value": name, **more.pop("arguments", {})}
    return _step(name, "devops-engineer", Kind.ACT, tool, arguments=arguments, **more)


def workflow(agent=""):
    """Looks, notes in an agent's words, verdicts, acts, a watch and a way back; all of one agent where one is named."""
    here = {"arguments": {"environment": "production"}}
    main = (
        _step("health", "qa-engineer", Kind.OBSERVE, "health.check", **here),
        _step("metrics", "support-engineer", Kind.OBSERVE, "metrics.sample", **here),
        _step("ready", "release-manager", Kind.VERDICT, "readiness", reads=("health",), gates=("fine",)),
        _step("notes", "technical-writer", Kind.DRAFT, "notes.render", **here),
        _act("stage", environment="staging", needs=("ready",)),
        _step("signoff", "qa-engineer", Kind.VERDICT, "staging", reads=("health", "metrics")),
        _step("go", "conductor", Kind.CHECKPOINT, "Go?", needs=("ready", "signoff")),
        _act("one", gates=("fine",), on_failure="rollback"),
        _act("two", on_failure="rollback"),
        _step("after", "qa-engineer", Kind.OBSERVE, "health.check", **here),
        _step("watch", "support-engineer", Kind.WATCH, "metrics.sample", reads=("metrics",), on_failure="rollback", **here),
        _step("verified", "devops-engineer", Kind.VERDICT, "production", reads=("after",), gates=("still-fine",),
              on_failure="rollback", needs=("watch",)),
        _act("three", "seal"),
        _act("publish", "publish", arguments={"body": {"ref": "notes.text"}}),
    )  # fmt: skip
    undo = (
        _act("undo-two", when={"attempted": ["two"]}),
        _act("undo-one", when={"attempted": ["one"]}),
        _step("story", "data-analyst", Kind.DRAFT, "notes.render", **here),
    )
    if agent:
        main, undo = (tuple(replace(step, agent=agent) for step in steps) for steps in (main, undo))
    gates = {
        "fine": Gate("fine", "healthy", on="health", max_age=900),
        "still-fine": Gate("still-fine", "healthy", on="after", max_age=900),
    }
    branch = Branch("rollback", "Rollback", (Phase("back", "Back", "qa-engineer", undo),), "rolled-back")
    return Workflow("toy", "Toy", "", (Phase("all", "All", "qa-engineer", main),), gates, {"rollback": branch}, "toy")


# --- the model ----------------------------------------------------------------------------------------------------


def text(said):
    return {"type": "text", "text": said if isinstance(said, str) else json.dumps(said)}


def call(name, given=None, identity=""):
    return {
        "type": "tool_use",
        "id": identity or f"toolu_{name}",
        "name": name,
        "input": {} if given is None else given,
    }


def reply(*blocks, stop="", usage=None):
    calls = any(block.get("type") == "tool_use" for block in blocks)
    return Answer(tuple(blocks), stop or ("tool_use" if calls else "end_turn"), "toy-model", usage or Usage(40, 10))


def about(ask):
    names = set((ask.answer or {}).get("properties", {}))
    return "verdict" if "answer" in names else "advice" if "severity" in names else "draft"


def turn(ask):
    return sum(message["role"] == "assistant" for message in ask.messages)


def shown(ask):
    return re.findall(r'<data id="(e-\d+)"', ask.messages[0]["content"])


def fitting(ask, **changes):
    """An answer that fits what was asked for."""
    cites = shown(ask)[:1]
    match about(ask):
        case "verdict":
            said = {"answer": "go", "reasons": ["it holds"], "cites": cites, "handoff": None}
        case "advice":
            said = {"kind": "failure", "severity": "low", "message": "it broke", "recommends": "none", "plan": [],
                    "cites": cites, "handoff": None}  # fmt: skip
        case _:
            said = {"headline": "Filters are saved"}
    return {**said, **changes}


def helpful(ask):
    """One look at evidence, then an answer that fits."""
    if turn(ask) == 0:
        return reply(call("evidence__list"))
    return reply(text(fitting(ask)))


def lazy(ask):
    return reply(text(fitting(ask)))


class Brain:
    """The port ``Model`` around a function of the request; every request is kept."""

    def __init__(self, play=lazy):
        self.play, self.asked, self.counted, self.closed = play, [], [], False

    def answer(self, ask, hear=None):
        self.asked.append(ask)
        found = self.play(ask)
        if isinstance(found, BaseException):
            raise found
        return found

    def count(self, ask):
        self.counted.append(ask)
        return sum(len(json.dumps(list(part))) for part in (ask.messages, ask.tools, ask.system)) // 4

    def close(self):
        self.closed = True


_ROLES = {}


def role_of(agent):
    if agent not in _ROLES:
        parsed = persona.parse((ROOT / "agents" / f"{agent}.md").read_text(), agent)
        _ROLES[agent] = Role(agent, parsed.body.strip(), parsed.observes, parsed.handoffs)
    return _ROLES[agent]


class Desk:
    """``engine.agents.Thinking``: the shipped roles, and briefs that show everything the real desk would."""

    def __init__(self, brain, models=None, *, roles=role_of, today=None):
        self.brain, self._models, self._roles, self._today = brain, models or Models(), roles, today or Spent()

    def models(self):
        if isinstance(self._models, Exception):
            raise self._models
        return self._models

    def model(self):
        return self.brain

    def role(self, agent):
        return self._roles(agent)

    def composes(self, tool):
        return COMPOSED if tool == "notes.render" else None

    def today(self):
        return self._today

    def prompt(self, log, step, agent, about, asked):
        seen = values(log, step, agent, asked)
        parts = [f"# {about} at {step.id}, asked of {agent}"]
        parts += [str(item["facts"]) for item in seen["evidence"]]
        parts += [
            fenced(json.dumps(asked.get(name), ensure_ascii=False), source="run")
            for name in ("trouble", "draft", "samples")
            if name in asked
        ]
        return "\n".join(parts)


def widened(agent):
    """A role as shipped, and every tool of this toy besides: what the role may see, cut to what the step allows."""
    known = role_of(agent)
    return replace(known, observes=tuple(sorted({*known.observes, *SPECS})))


# --- the run ------------------------------------------------------------------------------------------------------


class Journal(MemoryJournal):
    """In memory, decoded once; ``before`` and ``after`` are called around each append, and may raise or append."""

    def __init__(self):
        super().__init__()
        self._known, self.before, self.after = {}, None, None

    def append(self, chain, run, facts, at, **more):
        facts = tuple(facts)
        if self.before is not None:
            self.before(facts)
        written = super().append(chain, run, facts, at, **more)
        if self.after is not None:
            self.after(facts)
        return written

    def read(self, chain, *, after=0):
        from pilothouse.ledger import rules
        from pilothouse.ports import Head

        rows, known = self.entries(chain), self._known.setdefault(chain, [])
        if len(known) < len(rows):
            end = Head(known[-1].seq, known[-1].hash) if known else Head(0, "0" * 64)
            known.extend(rules.follow(chain, end, rows[len(known) :]))
        return tuple(known[after:])


def outline(flow):
    return tuple(
        {"id": step.id, "agent": step.agent, "kind": str(step.kind), "branch": branch}
        for branch in ("main", "rollback")
        for step in flow.steps(branch)
    )


def toy(play=lazy, *, tools=None, models=None, journal=None, redact=None, agent="", roles=role_of, today=None,
        thinking=True, clock=None, **options):  # fmt: skip
    """A run that was started, in a world whose agents think by ``play``."""
    flow = workflow(agent)
    inner = journal or Journal()
    new = not inner.chains()
    guarded = GuardedJournal(inner, lambda: redact) if redact is not None else inner
    brain = play if isinstance(play, Brain) else Brain(play)
    configuration = Configuration({"acme": PRODUCT}, "toy", Policy(), "", "pilothouse.yml")
    world = World(
        journal=guarded, tools=tools or Tools(), personas=ScriptedPersonas(), clock=clock or Clock(), workflow=flow,
        configuration=configuration, chain="acme", clearance=lambda _state, _checkpoint: clearance(),
        thinking=Desk(brain, models, roles=roles, today=today) if thinking else None,
        constraints=lambda _state: Constraints(), **options,
    )  # fmt: skip
    if new:
        guarded.append("acme", "r-1", [started(workflow="toy", outline=outline(flow))], iso(world.now()))
    return world


def state(world):
    return fold(event for event in world.journal.read("acme") if event.run == "r-1")


def facts(world, kind=None):
    found = [event.fact for event in world.journal.read("acme")]
    return [fact for fact in found if kind is None or isinstance(fact, kind)]


def append(world, *given):
    world.journal.append("acme", "r-1", given, iso(world.now()))


def approve(world):
    card = state(world).checkpoints["go"].opened
    append(world, e.Approved("go", card.approval_digest, "ceo", "t", "standing", None, ""))


def go(world, *, most=60):
    """To where the run ends, rests or is held, approving on the way and waiting through the watch."""
    for _ in range(most):
        standing = explain(advance("r-1", world), world)
        match standing.wait:
            case None:
                return standing
            case wait if wait.checkpoint:
                approve(world)
            case wait if wait.reason_code == "watch":
                world.clock.jump(10)
            case _:
                return standing
    raise AssertionError("the run never came to an end")


def effects(world):
    """What was done: step, tool and every argument but text bodies."""
    return world.tools.landed


def parsed(prompt):
    """The fences of a text: (attributes, inner text) of each, and what stands outside of all of them."""
    inside, outside, at = [], [], 0
    for found in re.finditer(r"<data([^>\n]*)>\n(.*?)\n</data>", prompt, re.DOTALL):
        outside.append(prompt[at : found.start()])
        inside.append((found.group(1), found.group(2)))
        at = found.end()
    outside.append(prompt[at:])
    return inside, "\n".join(outside)
