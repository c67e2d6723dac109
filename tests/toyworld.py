"""A toy world behind the Tools port: effects are entries of a dictionary that outlives the conductor.

For the engine's own laws, where thousands of runs are wanted; the real tools have their own tests, and the crash suite
kills real releases.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from conftest import SteppingClock
from pilothouse.engine.world import World
from pilothouse.errors import ToolFailed, Unreachable
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
from pilothouse.settings import Configuration, Policy

NAMES = {"environment": Argument("environment"), "value": Argument("text", required=False)}


def spec(name, kind, effect=None):
    return ToolSpec(
        name, kind, name, NAMES, {"value": "text"}, None if kind is Kind.ACT else Reach.WORKSPACE, True, effect
    )


@dataclass
class ToyTools:
    """``world`` maps a target to what stands there; ``calls`` counts applies by target."""

    world: dict = field(default_factory=dict)
    calls: dict = field(default_factory=dict)
    pinned: dict = field(default_factory=lambda: {"ref:main": "a"})
    healthy: bool = True
    breaks: set = field(default_factory=set)  # targets whose apply has no effect
    lost: set = field(default_factory=set)  # targets whose effect lands while the answer is lost
    blind: set = field(default_factory=set)  # targets that cannot be read back
    probe_lies: set = field(default_factory=set)  # a probe broken on purpose: never sees the effect
    effect: EffectClass = EffectClass.KEYED

    def specs(self):
        return {
            "look": spec("look", Kind.OBSERVE),
            "set": spec("set", Kind.ACT, self.effect),
            "seal": replace(spec("seal", Kind.ACT, self.effect), undoable=False),
        }

    def observe(self, name, arguments):
        return Observation({"healthy": self.healthy, "in_a_row": 1, "needed": 1, "value": "seen"})

    def pins(self, name, arguments):
        return dict(self.pinned)

    def probe(self, name, arguments, key):
        target = f"{arguments['environment']}/{arguments['value']}"
        if target in self.blind:
            raise Unreachable("unreachable", "no answer")
        if target not in self.world or target in self.probe_lies:
            return Probe(Presence.ABSENT)
        if self.world[target] != key:
            return Probe(Presence.CONFLICT, "somebody else's")
        return Probe(Presence.APPLIED, "set", {"value": target})

    def apply(self, name, arguments, permit):
        target = f"{arguments['environment']}/{arguments['value']}"
        self.calls[target] = self.calls.get(target, 0) + 1
        if target in self.breaks:
            raise ToolFailed("no-effect", "it broke")
        self.world[target] = permit.key
        if target in self.lost:
            raise ToolFailed("reply-lost", "the answer did not arrive")

    def verify(self, name, arguments, key):
        return self.probe(name, arguments, key)


def step(name, kind, target, **more):
    return Step(name, "qa-engineer", kind, target, **more)


def act(name, value, **more):
    environment = more.pop("environment", "production")
    more.setdefault("checkpoint", "go" if environment == "production" else None)
    return step(name, Kind.ACT, "set", arguments={"environment": environment, "value": value}, **more)


def toy_workflow():
    look = {"arguments": {"environment": "production"}}
    main = (
        step("look", Kind.OBSERVE, "look", **look),
        step("ready", Kind.VERDICT, "readiness", reads=("look",), gates=("fine",)),
        act("stage", "s", environment="staging"),
        step("go", Kind.CHECKPOINT, "Go?", needs=("ready",)),
        act("one", "1", gates=("fine",), on_failure="rollback"),
        act("two", "2", on_failure="rollback"),
        step("after", Kind.OBSERVE, "look", **look),
        step("verified", Kind.VERDICT, "production", reads=("after",), gates=("still-fine",), on_failure="rollback"),
        replace(act("three", "3"), target="seal"),
    )
    undo = (
        act("undo-two", "undo-2", when={"attempted": ["two"]}),
        act("undo-one", "undo-1", when={"attempted": ["one"]}),
    )
    gates = {
        "fine": Gate("fine", "healthy", on="look", max_age=900),
        "still-fine": Gate("still-fine", "healthy", on="after", max_age=900),
    }
    branch = Branch("rollback", "Rollback", (Phase("back", "Back", "qa-engineer", undo),), "rolled-back")
    return Workflow("toy", "Toy", "", (Phase("all", "All", "qa-engineer", main),), gates, {"rollback": branch}, "toy")


def toy(tools=None, journal=None, *, product=None, clock=None, **options):
    from guard_samples import product as sample_product
    from story import clearance, started

    tools = tools or ToyTools()
    new = journal is None
    journal = journal or MemoryJournal()
    configuration = Configuration({"acme": product or sample_product()}, "toy", Policy(), "", "pilothouse.yml")
    world = World(
        journal=journal, tools=tools, personas=options.pop("personas", ScriptedPersonas()), clock=clock or SteppingClock(),
        workflow=toy_workflow(), configuration=configuration, chain="acme",
        clearance=lambda _state, _checkpoint: clearance(), **options,
    )  # fmt: skip
    if new:
        journal.append("acme", "r-1", [started(workflow="toy")], "2026-11-21T09:00:00.000000+00:00")
    return world
