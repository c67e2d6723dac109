"""Laws about crashes and records: intent, outcome, kills, leases, what the ledger says and that it holds."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from laws.worlds import BOUNDARIES, LAW, Killed, approve, events_of, go, intents, tell, world_of
from pilothouse import events as e
from pilothouse.engine.advance import advance
from pilothouse.engine.world import iso
from pilothouse.errors import LeaseLost, LedgerCorrupt
from pilothouse.ledger.chain import decode, verify
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.model import EffectClass, Presence, Probe, Verdict
from story import started
from toyworld import ToyTools

TARGETS = ("staging/s", "production/1", "production/2", "production/3")
BREAKS = st.sampled_from([frozenset(), frozenset({"production/2"}), frozenset({"production/1"})])


class Synced(MemoryJournal):
    """Knows how much of itself was made to last."""

    safe = 0

    def sync(self):
        self.safe = self.head("acme").seq


def started_in(journal):
    journal.append("acme", "r-1", [started(workflow="toy")], "2026-11-21T09:00:00.000000+00:00")
    return journal


@LAW
@given(BREAKS, st.sampled_from([EffectClass.KEYED, EffectClass.QUIESCE]))
def test_i27_an_intent_lasts_before_its_effect_and_an_outcome_before_the_next(breaks, effect):
    journal = started_in(Synced())
    tools = ToyTools(breaks=set(breaks), effect=effect)
    world = world_of(tools, journal=journal)
    real = tools.apply
    seen = []

    def apply(name, arguments, permit):
        lasting = [event.fact for event in events_of(world) if event.seq <= journal.safe]
        meant = [fact for fact in lasting if isinstance(fact, e.Intended)]
        ended = [fact for fact in lasting if isinstance(fact, e.Done | e.Failed)]
        assert meant and meant[-1].arguments == arguments and meant[-1].key == permit.key
        assert len(ended) == len(meant) - 1
        seen.append(meant[-1].step)
        real(name, arguments, permit)

    tools.apply = apply
    go(world)
    assert seen == [step for step, *_ in intents(world)]
    assert journal.safe >= max(event.seq for event in events_of(world) if event.kind in {"Done", "Failed"})


class Kills:
    """Kills the conductor at the boundaries of these numbers, counted over all its lives."""

    def __init__(self, numbers):
        self.numbers, self.passed = numbers, 0

    def __call__(self, _name, _step):
        self.passed += 1
        if self.passed in self.numbers:
            raise Killed


@LAW
@given(st.sets(st.integers(1, 30), max_size=6), BREAKS, st.frozensets(st.sampled_from(TARGETS), max_size=2))
def test_i28_whatever_is_killed_the_effects_are_those_of_a_run_that_was_not(kills, breaks, lost):
    golden = ToyTools(breaks=set(breaks))
    outcome = go(world_of(golden)).state.standing()
    tools = ToyTools(breaks=set(breaks), lost=set(lost))
    world = world_of(tools, boundary=Kills(kills))
    for _ in range(len(kills) + 1):
        try:
            standing = go(world)
            break
        except Killed:
            continue
    assert standing.state.standing() == outcome
    assert Counter({t: n for t, n in tools.calls.items() if t not in breaks}) == Counter(
        {t: n for t, n in golden.calls.items() if t not in breaks}
    )
    assert set(tools.world) == set(golden.world)


class Landing(ToyTools):
    """An effect that is on its way when the conductor dies, and lands after so many looks."""

    looks_left = 0
    hidden = None

    def probe(self, name, arguments, key):
        if self.hidden == f"{arguments['environment']}/{arguments['value']}":
            self.looks_left -= 1
            if self.looks_left >= 0:
                # Something moves there: no two looks are alike until it has landed.
                return Probe(Presence.ABSENT, f"{self.looks_left} to go")
        return super().probe(name, arguments, key)


@LAW
@given(st.sampled_from(["stage", "one", "two"]), st.integers(0, 6), st.sampled_from(list(EffectClass)), st.booleans())
def test_i29_what_is_uncertain_is_looked_at_by_its_class_and_never_tried_blindly(step, looks, effect, acted):
    tools = Landing(effect=effect)
    target = {"stage": "staging/s", "one": "production/1", "two": "production/2"}[step]

    def kill(name, here):
        if (name, here) == ("after-apply" if acted else "after-intent", step) and tools.hidden is None:
            tools.hidden = target
            tools.looks_left = looks if acted and effect is EffectClass.QUIESCE else 0
            raise Killed

    world = world_of(tools, boundary=kill)
    with pytest.raises(Killed):
        go(world)
    assert tools.calls.get(target, 0) == acted
    state = go(world).state
    if effect is EffectClass.HUMAN:
        assert state.standing() == "halted"
        assert state.halted.reason_code == "unknown-outcome"
        assert tools.calls.get(target, 0) == acted
    else:
        assert tools.calls[target] == 1
        assert state.standing() == "done"


@LAW
@given(st.integers(1, 14), st.booleans())
def test_i30_a_conductor_that_was_taken_over_does_nothing_more(when, expired):
    tools = ToyTools()
    world = world_of(tools)
    lease = world.journal.acquire("acme", "one", iso(world.now()), 3000)
    world.lease = lambda: lease
    counted = {"looks": 0, "taken": False}

    def taking_over(real):
        def look(*given):
            counted["looks"] += 1
            if counted["looks"] == when:
                counted["taken"] = True
                world.clock.slept += 4000
                world.journal.acquire("acme", "two", iso(world.now()), 30 if expired else 9000)
                tools.before = dict(tools.calls)
            return real(*given)

        return look

    tools.pins, tools.probe = taking_over(tools.pins), taking_over(tools.probe)
    try:
        advance("r-1", world)
        if not counted["taken"]:
            approve(world)
            advance("r-1", world)
        assert not counted["taken"]
    except LeaseLost:
        assert counted["taken"]
        assert tools.calls == tools.before


class Moody:
    """An agent that answers differently each time, and counts how often it is asked."""

    def __init__(self):
        self.asked, self.said = Counter(), {}

    def verdict(self, step, evidence):
        self.asked[step.id] += 1
        self.said[step.id] = Verdict("go", (f"answer {sum(self.asked.values())}",), tuple(evidence), "model")
        return self.said[step.id]


@LAW
@given(st.sets(st.integers(1, 40), max_size=5))
def test_i31_what_an_agent_said_is_written_down_whole_and_never_asked_again(kills):
    personas = Moody()
    world = world_of(personas=personas)
    passed = Kills(kills)
    world.listen = lambda event, _state: passed(event.kind, "")
    for _ in range(len(kills) + 1):
        try:
            standing = go(world)
            break
        except Killed:
            continue
    assert standing.state.standing() == "done"
    assert set(personas.asked.values()) == {1}
    written = {name: (given.answer, given.reasons, given.cites) for name, given in standing.state.verdicts.items()}
    assert written == {name: (said.answer, said.reasons, said.cites) for name, said in personas.said.items()}


@cache
def rows_of_a_run():
    world = world_of()
    go(world)
    return tuple(world.journal.entries("acme"))


def spoil(data, how, name):
    entry = json.loads(data)
    text = data.decode()
    match how:
        case "twice":
            return text.replace("{", f'{{"{name}":null,', 1).encode()
        case "spaces":
            return text.replace(":", ": ", 1).encode()
        case "order":
            return json.dumps(dict(reversed(entry.items())), separators=(",", ":"), ensure_ascii=False).encode()
        case "extra":
            entry["data"]["odd"] = 1
        case "missing":
            entry["data"].pop(next(iter(entry["data"])))
        case "type":
            entry["data"][next(iter(entry["data"]))] = {"odd": [1]} if name == "at" else 7.5
        case "kind":
            entry["kind"] = "Permitted"
        case "newer":
            entry["v"] = 99
        case "cut":
            return data[:-2]
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


HOW = ("twice", "spaces", "order", "extra", "missing", "type", "kind", "newer", "cut")


@LAW
@given(st.integers(0, 200), st.sampled_from(HOW), st.sampled_from(["at", "chain", "kind"]))
def test_i32_an_entry_is_understood_whole_or_not_at_all(number, how, name):
    rows = rows_of_a_run()
    _, _, data = rows[number % len(rows)]
    assert decode(data).hash == sha256(data).hexdigest()
    odd = spoil(data, how, name)
    assume(odd != data)
    with pytest.raises(LedgerCorrupt):
        decode(odd)


@LAW
@given(
    BREAKS, st.frozensets(st.sampled_from(TARGETS), max_size=2), st.frozensets(st.sampled_from(TARGETS), max_size=1),
    st.one_of(st.none(), st.tuples(st.sampled_from(BOUNDARIES), st.sampled_from(["stage", "one", "two"]))),
)  # fmt: skip
def test_i33_every_effect_and_every_refusal_is_on_the_record(breaks, lost, unreadable, abort):
    tools = ToyTools(breaks=set(breaks), lost=set(lost))
    world = world_of(tools)
    real = tools.apply
    applied = []

    def apply(name, arguments, permit):
        applied.append(permit.step)
        target = f"{arguments['environment']}/{arguments['value']}"
        tools.blind |= {target} & set(unreadable)
        real(name, arguments, permit)

    def aborting(name, step):
        if (name, step) == abort:
            tell(world, e.Aborted("ceo", "t", "stop"))

    tools.apply, world.boundary = apply, aborting
    standing = go(world)
    facts = [event.fact for event in events_of(world)]
    meant = [fact.step for fact in facts if isinstance(fact, e.Intended)]
    ended = [fact.step for fact in facts if isinstance(fact, e.Done | e.Failed)]
    halted = [fact.step for fact in facts if isinstance(fact, e.Halted)]
    assert set(applied) <= set(meant)
    left_open = [step for step in meant if step not in ended]
    # An outcome that cannot be told is the halt's matter; where the run was ended meanwhile it stays to be told.
    assert left_open == ([standing.state.open_act] if standing.state.open_act else [])
    assert not left_open or (halted == left_open if not standing.state.aborted else bool(tools.blind))
    assert facts[-1] == standing.state.ended or standing.state.standing() != "done"
    assert {"refused": e.Refused, "halted": e.Halted, "rolled-back": e.Ended, "done": e.Ended}.get(
        standing.state.standing(), e.Fact
    ) in {type(facts[-1]), e.Fact}


OPERATIONS = st.sampled_from(["edit", "rewrite", "drop", "swap", "cut", "twice", "insert"])


@LAW
@given(OPERATIONS, st.integers(1, 500))
def test_i34_an_edit_a_gap_a_swap_a_fork_and_a_cut_are_all_found(operation, number):
    rows = list(rows_of_a_run())
    head = rows[-1][1]
    assert verify(rows, "acme", head).ok
    at = number % (len(rows) - 1)
    seq, stored, data = rows[at]
    other = data.replace(b'"run":"r-1"', b'"run":"r-2"')
    match operation:
        case "edit":
            rows[at] = (seq, stored, other)
        case "rewrite":  # with its hash: only the next entry knows better
            rows[at] = (seq, sha256(other).hexdigest(), other)
        case "drop":
            del rows[at]
        case "swap":
            rows[at], rows[at + 1] = rows[at + 1], rows[at]
        case "cut":
            del rows[at + 1 :]
        case "twice":
            rows.insert(at, rows[at])
        case "insert":
            rows.insert(at + 1, (seq + 1, sha256(other).hexdigest(), other))
    assert not verify(rows, "acme", head).ok
