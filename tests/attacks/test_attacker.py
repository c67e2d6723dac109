"""The model as attacker (I3, I4, I10, I14 to I16, I28, I30): whatever it, a thief or the world does, nothing leaves
that was not approved.

A bounded count here; ``make attack`` plays 100,000 and more. The oracle shares no code with the guard, and the second
half of this file breaks the guard on purpose to show that the oracle notices.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from attacks import caller, hostile_world
from attacks.oracle import violations
from attacks.run import attack, judged
from pilothouse import approving, signatures
from pilothouse.engine import perform
from pilothouse.guard import approval, decide, fold, fold_acts, fold_checkpoints, gates
from pilothouse.guard import state as guard_state
from pilothouse.model import Presence, Probe

SEED = int(os.environ.get("PILOTHOUSE_ATTACK_SEED", "20261121"))
SEQUENCES = int(os.environ.get("PILOTHOUSE_ATTACK_SEQUENCES", "600"))


def test_a_random_attacker_gets_nothing_past_the_guard():
    reached, broken = attack(SEED, SEQUENCES)
    assert broken == []
    # Played in earnest: releases, approvals, failures, rollbacks and interrupted acts are among them.
    assert reached["production effects"] > SEQUENCES // 4
    assert all(
        reached[kind] for kind in ("Approved", "Ended done", "Ended rolled-back", "Halted", "Settled", "Rejected")
    )


@pytest.fixture(autouse=True)
def _patched():
    with caller.playing():
        yield


class Attacker(RuleBasedStateMachine):
    """The same game, with hypothesis at the table: it chooses the turns and shrinks what it finds."""

    @initialize(seed=st.integers(0, 2**32), hostility=st.sampled_from((0.0, 0.05, 0.2, 0.5)))
    def begin(self, seed, hostility):
        self.game = caller.game(random.Random(seed), hostility)

    @rule(holder=st.sampled_from("ab"))
    def advance(self, holder):
        self.game.advance(holder)

    @rule()
    def sensible(self):
        self.game.sensible()

    @rule(
        who=st.sampled_from(("ann", "carl", "sue", "ceo", "mallory", "", "CEO")),
        entry=st.sampled_from(("right", "wrong", "lower", "newline", "old", "abort", "none", "leave", "late", "again")),
    )
    def approve(self, who, entry):
        if entry != "old" or self.game.prompted:
            self.game.approve(who, entry)

    @rule(
        who=st.sampled_from(("ceo", "cfo", "sec", "mallory")),
        kind=st.sampled_from(("right", "stranger", "forged", "replay", "run", "checkpoint")),
    )
    def sign(self, who, kind):
        self.game.sign(who, kind)

    @rule(
        what=st.sampled_from(
            ("scripted", "reject", "abort", "resume", "lift", "settle", "forge", "twist", "jump", "mend")
        )
    )
    def meddle(self, what):
        getattr(self.game, what)()

    @rule(seconds=st.sampled_from((1, 31, 61, 899, 901, 4 * 86400, -1, -86400)))
    def time_jumps(self, seconds):
        self.game.clock.jump(seconds)

    @rule(hostility=st.sampled_from((0.0, 0.1, 0.5)))
    def mood(self, hostility):
        self.game.hostility = hostility

    @invariant()
    def nothing_is_broken(self):
        if hasattr(self, "game"):
            assert judged(self.game) == []


Attacker.TestCase.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAttacker = Attacker.TestCase


def _noticed(words, *, sequences=1500, hostility=0.2):
    """Whether the oracle tells of it, within so many sequences; crashes of the broken guard count for nothing."""
    for seed in range(sequences):
        try:
            game = caller.sequence(seed, hostility)
        except Exception:  # a broken guard may also trip over its own assertions
            continue
        if any(words in why for why in violations(game)):
            return True
    return False


def _told_of(play):
    """What the oracle says of a game that goes as written, with a well-meaning world and the simplest policy."""
    game = caller.game(random.Random(0), 0.0)
    game.policies.append((0, hostile_world.Policy()))
    play(game)
    return violations(game)


def test_the_oracle_notices_a_guard_that_asks_nobody(monkeypatch):
    def as_if(state, checkpoint):
        known = state.checkpoints.get(checkpoint)
        return known.opened.approval_digest if known and known.opened else None

    for module in (guard_state, decide, perform, fold_acts):
        monkeypatch.setattr(module, "approved_digest", as_if)
    assert _noticed("were needed, 0 approved", hostility=0.0)


def test_the_oracle_notices_an_engine_that_approves_itself(monkeypatch):
    monkeypatch.setattr(fold_checkpoints, "may_approve", lambda *_: None)
    monkeypatch.setattr(approving, "may_approve", lambda *_: None)
    assert _noticed("is no approver")


def test_the_oracle_notices_one_approval_where_two_are_needed(monkeypatch):
    monkeypatch.setattr(fold_checkpoints, "missing", lambda _clearance, _given: ())
    assert _noticed("were needed", hostility=0.0)


def test_the_oracle_notices_a_forged_signature(monkeypatch):
    monkeypatch.setattr(signatures, "verified", lambda *_: True)
    assert _noticed("the signature is not theirs", hostility=0.0)


def test_the_oracle_notices_an_approver_who_was_struck_off_the_base_branch(monkeypatch):
    def as_shown(_app, state, _checkpoint):
        return fold_checkpoints.clearance_of(state.checkpoints["go"].opened.basis)

    def play(game):
        game.advance()
        game.policies.append((len(game.journal.entries("acme")), hostile_world.Policy(members=("cfo",))))
        game.sign("ceo", "right")

    assert _told_of(play) == []
    monkeypatch.setattr(approving, "_present", as_shown)
    assert any("is no approver" in why for why in _told_of(play))


def test_the_oracle_notices_a_word_in_lower_case(monkeypatch):
    real = fold_checkpoints.apply_checkpoint

    def trusting(state, event):
        if event.kind == "WordSpent" and event.fact.matched:
            state.checkpoints["go"].word_matched = True
            state.checkpoints["go"].word_open = None
            return
        real(state, event)

    def play(game):
        game.advance()
        game.approve("ann", "lower")

    monkeypatch.setattr(approval, "entry_matches", lambda shown, entered, _until, _now: entered.upper() == shown)
    assert _told_of(play) == []  # the fold refuses it: a second lock
    monkeypatch.setattr(fold, "apply_checkpoint", trusting)
    assert any("what was entered is not the word" in why for why in _told_of(play))


def test_the_oracle_notices_a_word_that_is_too_old(monkeypatch):
    monkeypatch.setattr(approval, "entry_matches", lambda shown, entered, _until, _now: entered == shown)
    assert not _noticed("the word was too old", sequences=100, hostility=0.0)  # the fold refuses it: a second lock
    monkeypatch.setattr(fold_checkpoints, "_check_word", lambda *_: None)
    assert _noticed("the word was too old", hostility=0.0)


def test_the_oracle_notices_a_gate_that_is_left_out(monkeypatch):
    real = decide.judge

    def lenient(*arguments):
        found = real(*arguments)
        return type(found)(found.gate, passed=True, reason_code="ok", message="", evidence=found.evidence)

    monkeypatch.setattr(decide, "judge", lenient)
    assert _noticed("did not pass")


def test_the_oracle_notices_evidence_that_is_too_old(monkeypatch):
    monkeypatch.setattr(gates, "is_stale", lambda *_: False)
    assert _noticed("evidence that was too old")


def test_the_oracle_notices_a_change_after_the_approval(monkeypatch):
    def play(game):
        game.advance()
        game.sign("ceo", "right")
        game.tools.main = "pushed over"
        game.advance()

    assert _told_of(play) == []
    monkeypatch.setattr(perform, "changed_pins", lambda *_: [])
    assert any("had changed since it was approved" in why for why in _told_of(play))


def test_the_oracle_notices_an_act_that_is_done_twice(monkeypatch):
    def forgetful(_log, _act, _arguments, _key, *, twice):
        return Probe(Presence.ABSENT)

    monkeypatch.setattr(perform, "_look", forgetful)
    assert _noticed("it landed")


def test_the_oracle_notices_a_hold_that_is_not_heard(monkeypatch):
    real = decide.is_complete
    monkeypatch.setattr(decide, "_held", lambda *_: None)
    monkeypatch.setattr(
        decide, "is_complete", lambda kind, step, state: step in state.verdicts or real(kind, step, state)
    )
    assert _noticed("ready holds")


def test_the_oracle_notices_an_act_while_nothing_may_ship(monkeypatch):
    for asked in (decide, perform):
        monkeypatch.setattr(asked, "not_overridden", lambda held, _state: type(held)())
    assert _noticed("nothing may ship")


def test_the_oracle_notices_an_act_after_the_end(monkeypatch):
    monkeypatch.setattr(perform.Log, "confirm", lambda _log: None)
    assert _noticed("the run was over")


def test_a_card_whose_world_moved_while_it_was_made_is_void():
    """Found by the attacker: main moved between two acts' readings, and the later reading stood for both."""
    game = caller.game(random.Random(0), 0.0)
    game.policies.append((0, hostile_world.Policy()))
    real, readings = game.tools.pins, []

    def pins(name, arguments):
        readings.append(arguments["slot"])
        found = real(name, arguments)
        if len(readings) == 2:
            game.tools.main = "moved"
        return found

    game.tools.pins = pins
    game.advance()
    game.sign("ceo", "right")
    game.advance()
    state = game.state()
    assert state.acts["one"].failed.reason_code == "plan-changed"
    assert "one" not in game.tools.world
    assert state.checkpoints["go"].openings == 2
    assert judged(game) == []
