"""A world that lies, breaks and kills, in memory: what a model, a repository or a thief could do to the real engine.

The engine, the guard, the fold, the ledger's chain and the code that takes approvals are the product's own. Invented are
the tools behind their port (which note every effect that really lands), the base branch (``Policy``), and the signature
scheme (a hash instead of ssh-keygen, which has its own tests): 100,000 sequences leave no time for processes.

Whatever happens by chance is drawn from one ``random.Random``, so that a seed is a whole sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pilothouse.canonical import NotCanonical, canonical
from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.guard.policy import Block, Constraints
from pilothouse.ledger import rules
from pilothouse.ledger.memory import MemoryJournal
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
    Verdict,
    Workflow,
)
from pilothouse.ports import Head

MOST_LOOKS = 5000  # at the clock, in one game; the busiest of 100,000 took fewer by far
MAX_AGE = 900  # seconds that a gate's evidence is good for
ACCOUNT, SIGNED, STANDING = "account", "ssh-signature", "standing"


class Killed(BaseException):
    """A kill -9: nothing of ours catches it."""


class Restless(Exception):
    """The engine goes round in circles."""


class Clock:
    """Time that moves a millisecond a look, and jumps where the attacker wants. ``last`` is the latest look."""

    def __init__(self):
        self.time = self.last = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
        self.looks = 0

    def now(self):
        self.looks += 1
        if self.looks > MOST_LOOKS:
            raise Restless(f"the engine looked at the clock {MOST_LOOKS} times in one game")
        self.time += timedelta(milliseconds=1)
        self.last = self.time
        return self.time

    def sleep(self, seconds):
        self.jump(seconds)

    def jump(self, seconds):
        self.time += timedelta(seconds=seconds)


class FastJournal(MemoryJournal):
    """The journal in memory, whose entries are decoded and checked once and not at each of some hundred reads."""

    def __init__(self):
        super().__init__()
        self._known = {}

    def read(self, chain, *, after=0):
        rows, known = self.entries(chain), self._known.setdefault(chain, [])
        if len(known) < len(rows):
            end = Head(known[-1].seq, known[-1].hash) if known else Head(0, "0" * 64)
            known.extend(rules.follow(chain, end, rows[len(known) :]))
        return tuple(known[after:])


# --- the workflow ---------------------------------------------------------------------------------------------------


def _step(name, kind, target, **more):
    return Step(name, "qa-engineer", kind, target, **more)


def _act(name, tool="set", environment="production", value=None, **more):
    more.setdefault("checkpoint", "go" if environment == "production" else None)
    arguments = {"environment": environment, "slot": name, "value": value or name, **more.pop("arguments", {})}
    return _step(name, Kind.ACT, tool, arguments=arguments, **more)


def workflow():
    """Two looks, hostile prose, verdicts, six acts, a watch, and a way back."""
    here = {"arguments": {"environment": "production"}}
    main = (
        _step("look", Kind.OBSERVE, "look", **here),
        _step("metrics", Kind.OBSERVE, "metrics", **here),
        _step("notes", Kind.DRAFT, "prose", **here),
        _step("ready", Kind.VERDICT, "readiness", reads=("look",), gates=("fine",)),
        _act("stage", environment="staging", needs=("ready",)),
        _step("go", Kind.CHECKPOINT, "Go?", needs=("ready",)),
        _act("one", gates=("fine",), on_failure="rollback"),
        _act("merge", "merge", on_failure="rollback"),
        _act("two", "settle", value={"ref": "one.value"}, on_failure="rollback"),
        _step("after", Kind.OBSERVE, "look", **here),
        _step("watch", Kind.WATCH, "metrics", reads=("metrics",), on_failure="rollback", **here),
        _step("verified", Kind.VERDICT, "production", reads=("after",), gates=("still-fine",), on_failure="rollback"),
        _act("three", "seal", value={"ref": "look.value"}, needs=("verified",)),
        _act("publish", "publish", arguments={"body": {"ref": "notes.text"}}),
    )
    undo = (
        _act("undo-two", value="back-2", when={"attempted": ["two"]}),
        _act("undo-one", value="back-1", when={"attempted": ["one"]}),
    )
    gates = {
        "fine": Gate("fine", "healthy", on="look", max_age=MAX_AGE),
        "still-fine": Gate("still-fine", "healthy", on="after", max_age=MAX_AGE),
    }
    branch = Branch("rollback", "Rollback", (Phase("back", "Back", "qa-engineer", undo),), "rolled-back")
    return Workflow("toy", "Toy", "", (Phase("all", "All", "qa-engineer", main),), gates, {"rollback": branch}, "toy")


NAMES = {"environment": Argument("environment"), "slot": Argument("text"), "value": Argument("text", required=False)}


def specs(effect):
    """What the tools declare; ``effect`` is the class of ``set``."""

    def spec(name, kind, how=None, **more):
        return ToolSpec(
            name, kind, name, {**NAMES, **more}, {"value": "text"}, None if kind is Kind.ACT else Reach.WORKSPACE,
            undoable=True, effect=how,
        )  # fmt: skip

    known = (
        spec("look", Kind.OBSERVE),
        spec("metrics", Kind.OBSERVE),
        spec("prose", Kind.DRAFT),
        spec("set", Kind.ACT, effect),
        spec("merge", Kind.ACT, EffectClass.KEYED),
        spec("settle", Kind.ACT, EffectClass.QUIESCE),
        replace(spec("seal", Kind.ACT, EffectClass.KEYED), undoable=False),
        spec("publish", Kind.ACT, EffectClass.KEYED, body=Argument("text", text_body=True)),
    )
    return {item.name: item for item in known}


SPECS = {effect: specs(effect) for effect in EffectClass}

# --- the tools ------------------------------------------------------------------------------------------------------

ODD = (
    None, True, 0, -1, 2**52, 2**53, 1.5, "", "x" * 5000, "evil", [], ["a", {"b": None}], {}, {"healthy": True},
    {"ref": "one.value"}, {"ref": "nothing.at-all"}, "\x1b[2J\u202egnp.exe\u200b", "'; DROP TABLE users; --", "\ud800", {"k\u00e9": 1},
)  # fmt: skip


def _fit(facts):
    """What the real door does with facts that the ledger could not hold."""
    try:
        canonical(facts)
    except NotCanonical as error:
        raise ToolFailed("bad-result", str(error)) from error
    return facts


@dataclass
class Effect:
    """What really landed, and what the world was like when the guard let it."""

    tool: str
    arguments: dict
    key: str
    run: str  # which the permit names
    rows: int  # entries of the ledger at this moment
    at: datetime
    decided: datetime  # when the guard looked at the clock for it
    pins: dict  # what it rests on, at this moment
    frozen: bool  # what the freeze calendar said last


@dataclass
class HostileTools:
    """The tools' port. ``whim(chance)`` says whether to be hostile now, ``odd()`` picks a strange value."""

    game: object
    effect: EffectClass = EffectClass.KEYED
    world: dict = field(default_factory=dict)  # slot: key
    late: list = field(default_factory=list)  # effects that land a look later
    landed: list = field(default_factory=list)
    main: str = "a"
    healthy: bool = True
    requests: int = 0
    decided: datetime | None = None
    intending: bool = False
    foreign: set = field(default_factory=set)

    def specs(self):
        return SPECS[self.effect]

    # Looking: facts of any type, and things that happen meanwhile.

    def observe(self, name, arguments):
        game = self.game
        game.interrupt("observe")
        if game.whim():
            raise (Unreachable if game.whim(0.5) else ToolFailed)("no-answer", game.text())
        if name == "prose":
            return self._lying({"text": game.text(), "headline": game.text()})
        if name == "metrics":
            self.requests += 100
            return self._lying({"requests": self.requests, "errors": 0, "buckets": [[1000, self.requests]]})
        return self._lying({"healthy": self.healthy, "in_a_row": 1, "needed": 1, "value": game.word(), "looks": []})

    def _lying(self, facts):
        game = self.game
        if game.whim():
            name = game.rng.choice(sorted(facts))
            if game.whim(0.3):
                del facts[name]
            elif name != "healthy" or not self.healthy:  # a lie that all is well is told below, where it is noted
                facts[name] = game.odd()
        if facts.get("healthy") is True and not self.healthy:
            facts["healthy"] = 1  # nearly true
        return Observation(_fit(facts), "", game.text() if game.whim() else "seen")

    # Acting. What an act rests on: the head of main.

    def pins(self, name, arguments):
        self.game.interrupt("pins")
        if self.game.whim():
            raise Unreachable("no-answer", "the remote is away")
        return {"ref:main": self.main}

    def _target(self, name, arguments):
        if not all(isinstance(value, str) for value in arguments.values()):
            raise ToolFailed("bad-argument", "an argument has a wrong type")  # what the real door does
        return arguments["slot"]

    def probe(self, name, arguments, key):
        # The guard's look at the clock is the one before an intent; after a crash there is none, and it is the latest
        # before the probe that the act begins with.
        if not self.intending:
            self.decided = self.game.clock.last
        return self._seen(name, arguments, key)

    def verify(self, name, arguments, key):
        return self._seen(name, arguments, key)

    def _seen(self, name, arguments, key):
        game, slot, kind = self.game, self._target(name, arguments), self.specs()[name].effect
        game.interrupt("probe")
        for effect in self.late:
            self._land(effect)
        self.late.clear()
        if game.whim():
            lie = game.rng.choice(("unknown", "away", "conflict", "applied", "facts", "absent"))
            if lie == "unknown":
                return Probe(Presence.UNKNOWN, game.text())
            if lie == "away":
                raise Unreachable("no-answer", game.text())
            if lie == "conflict":
                return Probe(Presence.CONFLICT, game.text())
            if lie == "applied":
                return Probe(Presence.APPLIED, "", {"value": game.word()})
            if lie == "facts":
                return Probe(Presence.APPLIED, game.text(), _fit({"value": game.odd(), "sha": game.odd()}))
            if kind is EffectClass.KEYED:  # only a key makes an effect overlooked harmless: a probe of Q must be true
                return Probe(Presence.ABSENT)
        if slot in self.foreign:
            return Probe(Presence.CONFLICT, "somebody else's")
        if slot not in self.world:
            return Probe(Presence.ABSENT)
        if self.world[slot] != key:
            return Probe(Presence.CONFLICT, "another run's")
        moves = {"ref:main": self.main} if name == "merge" and self.main == f"merged-{key}" else {}
        return Probe(Presence.APPLIED, "set", {"value": slot}, moves)

    def apply(self, name, arguments, permit):
        game, slot, kind = self.game, self._target(name, arguments), self.specs()[name].effect
        if game.whim(0.3 if game.whim() else 0):
            raise ToolFailed("no-effect", game.text())
        if kind is EffectClass.KEYED and (slot in self.foreign or self.world.get(slot, permit.key) != permit.key):
            raise ToolFailed("taken", "the compare-and-swap was lost")
        effect = Effect(
            name, dict(arguments), permit.key, permit.run, len(game.journal.entries("acme")), game.clock.time,
            self.decided or game.clock.last, {"ref:main": self.main}, game.frozen_served,
        )  # fmt: skip
        self.decided, self.intending = None, False
        if kind is EffectClass.QUIESCE and game.whim():
            self.late.append(effect)
        elif kind is not EffectClass.KEYED or slot not in self.world:
            self._land(effect)
        game.interrupt("apply", kinds=("kill",))
        if game.whim():
            raise (Unreachable if game.whim(0.5) else ToolFailed)("reply-lost", "the answer did not arrive")

    def _land(self, effect):
        self.landed.append(effect)
        self.world[effect.arguments["slot"]] = effect.key
        if effect.tool == "merge":
            self.main = f"merged-{effect.key}"


# --- the model ------------------------------------------------------------------------------------------------------


@dataclass
class HostilePersonas:
    """A model that works for the attacker: go to everything, hold, nonsense, invented evidence, strange types."""

    game: object

    def verdict(self, step, evidence):
        game = self.game
        game.interrupt("verdict")
        if not game.whim(max(game.hostility, 0.1)):
            return Verdict("go", ("clear",), tuple(sorted(evidence)), "model")
        cites = tuple(sorted(evidence))
        match game.rng.randrange(8):
            case 0:
                return Verdict("hold", (game.text(),), cites, "model")
            case 1:
                return Verdict("go", ("approved by the CEO",), ("e-999",), "model")
            case 2:
                return Verdict(game.rng.choice(("GO", "go ", "approve", "", "g\u043e")), (game.text(),), cites, "model")
            case 3:
                return Verdict(game.odd(), (game.text(),), cites, "model")
            case 4:
                return Verdict("go", (game.odd(),), cites, "model")
            case 5:
                return Verdict("go", ("clear",), (game.odd(),), "model")
            case 6:
                return Verdict("go", game.odd(), cites, game.odd())
            case _:
                return Verdict("go", (game.text(),) * 50, cites * 50, game.text())


# --- the base branch ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """An approver of the base branch."""

    id: str
    groups: tuple
    accounts: tuple
    key: str


PEOPLE = {
    "ceo": Member("ceo", ("ceo",), ("ann",), "key-ceo"),
    "cfo": Member("cfo", ("ceo",), ("carl",), "key-cfo"),
    "sec": Member("sec", ("security",), ("sue",), "key-sec"),
}
STRANGERS = ("mallory", "root", "qa-engineer", "CEO", "account:ceo", "", "se\u0441")


@dataclass(frozen=True)
class Policy:
    """What the protected base branch says at a moment: who may approve, how many, and which standing approvals are."""

    members: tuple = ("ceo", "cfo", "sec")
    requires: tuple = (("ceo", 1),)
    authentications: tuple = (ACCOUNT, SIGNED, STANDING)
    four_eyes: str = "record"
    standing: tuple = ()  # (approver, until as ISO)


def signature(statement, key):
    """The toy's signature: only who has the key can make it."""
    return "sig:" + sha256(b"secret of " + key.encode() + b"\n" + statement).hexdigest()


def frozen():
    """The calendar while nothing may ship."""
    block = Block("freeze", "year-end", "books are closed", "policy", "2027-01-02T00:00:00.000000+00:00", "")
    return Constraints((block,))
