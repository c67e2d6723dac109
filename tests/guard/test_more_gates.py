"""What each gate says, and the edges of what it takes: what is odd is never good."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from guard_samples import product
from pilothouse import events as e
from pilothouse.guard.bound import Bound
from pilothouse.guard.fold import fold
from pilothouse.guard.gates import RULES, evidence_of, judge, to_look_again
from pilothouse.model import Gate
from pilothouse.settings import ManualCheck, Policy, Readiness, Rollback
from story import SHA, START, act, approved, chained, done, failed, intended, observed, opened, planned, started

BOUND = Bound(product(), Policy(), SHA, frozenset({"2" * 40}), {"sha": "1" * 40, "version": "1.3.0"})


def asked(rule, facts, bound=BOUND):
    passed, code, message, _hint = RULES[rule](facts, bound)
    return passed, code, message


def checks(**states):
    return {"sha": SHA, "complete": True, "checks": [{"name": name, "state": state} for name, state in states.items()]}


def listed(*numbers):
    return [{"number": number, "title": f"t{number}"} for number in numbers]


TOLD = [
    ("ci-green", {**checks(unit="success", lint="skipped")}, (True, "ok", "CI 1/2 green")),
    ("ci-green", {**checks(unit="failure", lint="pending")}, (False, "ci-red", "not green on 4f2a91c: lint (pending), unit (failure)")),
    ("ci-green", {**checks(unit="success", lint="neutral")}, (True, "ok", "CI 1/2 green")),
    ("ci-green", checks(unit="success", lint="success", extra="pending"), (True, "ok", "CI 2/3 green")),
    ("ci-green", {**checks(unit="success", lint="success"), "complete": 1}, (False, "ci-incomplete", "the list of checks could not be read completely")),
    ("ci-green", {"sha": SHA, "complete": True, "checks": ["unit"]}, (False, "ci-missing", "not green on 4f2a91c: lint (missing), unit (missing)")),
    ("credentials-present", {"missing": [{"name": "A", "environment": "staging"}, {"name": "B", "environment": "production"}]},
     (False, "credentials-missing", "missing credentials: A (staging), B (production)")),
    ("credentials-present", {"missing": {}}, (False, "credentials-unknown", "whether the credentials are present is not known")),
    ("nothing-left-to-merge", {"pulls": listed(1, 2, 3)}, (False, "pulls-open", "open and meant for this release: #1 t1, #2 t2, #3 t3")),
    ("nothing-left-to-merge", {"pulls": listed(1, 2, 3, 4, 5)},
     (False, "pulls-open", "open and meant for this release: #1 t1, #2 t2, #3 t3 and 2 more")),
    ("no-blockers", {"issues": listed(1, 2, 3, 4)}, (False, "blockers-open", "open and blocking: #1 t1, #2 t2, #3 t3 and 1 more")),
    ("no-blockers", {"issues": "none"}, (False, "issues-unknown", "the open issues could not be read")),
    ("changelog-ready", {"entries": 1}, (True, "ok", "changelog: 1 unreleased")),
    ("changelog-ready", {"entries": "3"}, (False, "changelog-empty", "CHANGELOG.md has no unreleased entries")),
    ("suite-passed", {"suite": "e2e", "configured": True, "passed": True, "total": 1}, (True, "ok", "e2e 1/1")),
    ("suite-passed", {"suite": "e2e", "configured": True, "passed": True}, (True, "ok", "e2e passed")),
    ("suite-passed", {"suite": "e2e", "configured": True, "passed": False, "total": 3, "failed": 2},
     (False, "tests-red", "e2e did not pass (2 of 3 failed)")),
    ("suite-passed", {"suite": "e2e", "configured": True, "passed": False}, (False, "tests-red", "e2e did not pass")),
    ("suite-passed", {"suite": "e2e", "configured": 1, "passed": True}, (False, "suite-not-configured", "the suite e2e is not configured")),
    ("migrations-expected", {"pending": [{"name": "a"}], "unexpected": []}, (True, "ok", "pending migrations as expected: 1")),
    ("migrations-expected", {"pending": None, "unexpected": []}, (False, "migrations-unknown", "the pending migrations could not be read")),
    ("migrations-expected", {"pending": [], "unexpected": ["a", "b"]},
     (False, "migrations-unexpected", "pending but not part of this release: a, b")),
    ("live", {"reachable": True, "sha": SHA, "version": ""}, (False, "production-unknown", "production does not answer which version it runs")),
    ("live", {"reachable": True, "sha": SHA, "version": "1.3.0"}, (True, "ok", "1.3.0 is live")),
    ("still-live", {"reachable": True, "sha": "1" * 40, "version": "1.3.0"}, (True, "ok", "1.3.0 is still live")),
    ("still-live", {"reachable": True, "sha": "2" * 40, "version": "1.4.0"}, (True, "ok", "this release is live")),
    ("still-live", {"reachable": True, "sha": "3" * 40, "version": "1.3.1"},
     (False, "production-changed", "production changed since the run began: 1.3.0 (1111111) → 1.3.1 (3333333)")),
    ("backed-up", {"key": "b-1"}, (True, "ok", "backup b-1")),
    ("healthy", {"healthy": True, "in_a_row": 3, "needed": 3}, (True, "ok", "healthy 3 of 3")),
    ("healthy", {"healthy": False, "looks": []}, (False, "unhealthy", "not healthy: no answer")),
    ("healthy", {"healthy": False, "looks": [{"problem": "503"}, {"problem": "slow"}]}, (False, "unhealthy", "not healthy: slow")),
    ("healthy", {"healthy": False, "looks": [{"problem": ""}]}, (False, "unhealthy", "not healthy: no look succeeded")),
    ("healthy", {"healthy": False, "looks": [{}]}, (False, "unhealthy", "not healthy: no look succeeded")),
    ("logs-clean", {}, (True, "ok", "logs: not configured")),
    ("logs-clean", {"configured": True, "hits": ["ERROR " + "x" * 200, "more"]},
     (False, "logs-not-clean", f"2 log lines to look at, first: {('ERROR ' + 'x' * 200)[:120]}")),
    ("no-drift", {}, (True, "ok", "drift: not configured")),
    ("no-drift", {"configured": True, "differences": [{"key": "a"}, {"key": "b"}]},
     (False, "configuration-drift", "staging differs from production in: a, b")),
    ("restore-lossless", {"lossless": 1, "writes_since": 3}, (False, "restore-loses-data", "3 writes since the backup would be lost")),
    ("restore-lossless", {"lossless": False}, (False, "restore-loses-data", "what would be lost is unknown")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "facts", "told"), TOLD)
def test_a_gate_says_what_it_saw(rule, facts, told):
    assert asked(rule, facts) == told


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("odd", [None, "", 1, True, {}, [1], "ok"])
def test_no_odd_value_makes_a_gate_pass_that_knows_nothing(rule, odd):
    # Of what is not configured there is nothing to see: that is a pass, and it is the configuration's to say.
    names = ("sha", "complete", "checks", "missing", "pulls", "issues", "unexpected", "reachable", "tools", "answers",
             "commits", "unlinked", "unread", "on", "ahead", "behind", "base", "branch", "found", "state")  # fmt: skip
    facts = dict.fromkeys(names, odd)
    if rule not in {"logs-clean", "no-drift"}:
        assert not asked(rule, facts)[0]


def test_a_red_check_that_nobody_requires_blocks_and_a_pending_one_does_not():
    nobody = dataclasses.replace(BOUND, product=product(readiness=Readiness(checks=("unit",))))
    assert asked("ci-green", checks(unit="success", other="failure"), nobody)[1] == "ci-red"
    assert asked("ci-green", checks(unit="success", other="pending"), nobody)[0]
    assert asked("ci-green", checks(unit="failure", other="failure"), nobody)[2].count("unit") == 1


GATE = Gate("ci", "ci-green", on="ci", max_age=900)
GREEN = checks(unit="success", lint="success")


def state_with(*facts):
    return fold(chained(started(), *facts))


def seconds(number):
    return START + timedelta(seconds=number)


def test_the_age_of_evidence_counts_to_the_second():
    state = state_with(observed("ci", "e-001", GREEN, sha=SHA))  # at two seconds
    assert judge(GATE, state, BOUND, seconds(902)).passed
    assert not judge(GATE, state, BOUND, seconds(903)).passed
    assert judge(GATE, state, BOUND, seconds(-58)).passed
    assert not judge(GATE, state, BOUND, seconds(-59)).passed
    ageless = dataclasses.replace(GATE, max_age=None)
    assert judge(ageless, state, BOUND, seconds(10**8)).passed
    assert to_look_again([ageless], state, BOUND, seconds(10**8)) == ()


def test_a_finding_says_its_gate_its_evidence_and_what_to_do():
    state = state_with(observed("ci", "e-001", checks(unit="failure"), sha=SHA))
    found = judge(GATE, state, BOUND, seconds(3))
    assert (found.gate, found.evidence, found.passed) == ("ci", ("e-001",), False)
    assert found.hint
    old = judge(GATE, state, BOUND, seconds(5000))
    assert (old.gate, old.reason_code, old.evidence) == ("ci", "evidence-too-old", ("e-001",))
    other = judge(GATE, state_with(observed("ci", "e-001", GREEN, sha="9" * 40)), BOUND, seconds(3))
    assert not other.passed
    assert (other.reason_code, other.evidence) == ("evidence-other-sha", ("e-001",))
    assert "9999999," in other.message
    assert judge(GATE, state_with(), BOUND, START).message == "ci was not observed"
    skipped = judge(GATE, state_with(e.Skipped("ci", "")), BOUND, START)
    assert (skipped.passed, skipped.reason_code, skipped.message) == (True, "ok", "does not apply")


def test_evidence_of_the_runs_own_commit_and_of_none_counts():
    for sha in ("", "2" * 40):
        assert judge(GATE, state_with(observed("ci", "e-001", GREEN, sha=sha)), BOUND, seconds(3)).passed


def test_what_is_asked_of_an_environment_may_be_about_another_commit():
    gate = Gate("up", "healthy", on="up", max_age=None)
    assert judge(gate, state_with(observed("up", "e-001", {"healthy": True}, sha="9" * 40)), BOUND, START).passed
    for rule, facts in (
        ("live", {"reachable": True, "sha": "1" * 40, "version": "1.3.0"}),
        ("still-live", {"reachable": True, "sha": "1" * 40, "version": "1"}),
    ):
        gate = Gate("up", rule, on="up", max_age=None)
        assert judge(gate, state_with(observed("up", "e-001", facts, sha="9" * 40)), BOUND, START).passed


def test_each_step_is_looked_at_again_once_and_only_where_it_was_looked_at():
    state = state_with(observed("ci", "e-001", GREEN, sha=SHA))
    twice = [GATE, dataclasses.replace(GATE, id="again"), Gate("never", "live", on="nothing", max_age=1)]
    assert to_look_again(twice, state, BOUND, seconds(5000)) == ("ci",)
    assert to_look_again(twice[::-1], state, BOUND, seconds(5000)) == ("ci",)


def test_what_failed_is_looked_at_again_only_after_a_resume_that_came_later():
    red = observed("ci", "e-001", checks(unit="failure", lint="success"), sha=SHA)
    rest = e.Refused("ready", "ci-red", "", "", ())
    resumed = state_with(red, rest, e.Resumed("ceo", "t"))
    assert to_look_again([GATE], resumed, BOUND, seconds(5)) == ("ci",)
    since = state_with(red, rest, e.Resumed("ceo", "t"), dataclasses.replace(red, evidence="e-002"))
    assert to_look_again([GATE], since, BOUND, seconds(6)) == ()
    green = state_with(observed("ci", "e-001", GREEN, sha=SHA), rest, e.Resumed("ceo", "t"))
    assert to_look_again([GATE], green, BOUND, seconds(5)) == ()


BACKUP = planned(act("backup", "backup.create"), act("deploy"))
CARD = opened(plan=BACKUP)
FRESH = Gate("backup-fresh", "backed-up", on="backup", max_age=3600)


def test_of_an_act_the_outcome_is_the_evidence_and_before_it_the_look():
    intent = intended(BACKUP, "backup", approval=CARD.approval_digest, tool="backup.create")
    before = state_with(BACKUP, CARD, approved(CARD), intent)
    assert evidence_of("backup", before) is None
    after = state_with(BACKUP, CARD, approved(CARD), intent, done("backup", "e-7", facts={"key": "b-1"}))
    assert evidence_of("backup", after).facts == {"key": "b-1"}
    late = judge(FRESH, after, BOUND, seconds(9999))
    assert (late.gate, late.reason_code, late.evidence, late.passed) == (
        "backup-fresh",
        "backup-too-old",
        ("e-7",),
        False,
    )
    unneeded = state_with(BACKUP, CARD, approved(CARD), intent, failed("backup"))
    assert not judge(FRESH, unneeded, BOUND, START).passed


def test_a_void_approval_lets_evidence_without_an_age_stand():
    plan = planned(act("deploy"))
    card = opened(plan=plan)
    seen = observed("ci", "e-001", GREEN, sha=SHA)
    void = [
        plan,
        card,
        approved(card),
        intended(plan, "deploy", approval=card.approval_digest),
        failed("deploy", "plan-changed"),
    ]
    assert to_look_again([GATE], state_with(seen, *void), BOUND, seconds(9)) == ("ci",)
    assert to_look_again([dataclasses.replace(GATE, max_age=None)], state_with(seen, *void), BOUND, seconds(9)) == ()
    assert to_look_again([GATE], state_with(*void, dataclasses.replace(seen, evidence="e-2")), BOUND, seconds(9)) == ()


def test_where_no_check_has_reported_and_none_is_named_nothing_is_green():
    anything = dataclasses.replace(BOUND, product=product(readiness=Readiness()))
    assert asked("ci-green", checks(), anything) == (False, "ci-missing", "no check has reported on this commit")


def test_a_restore_that_is_a_persons_to_decide_does_not_pass():
    asking = dataclasses.replace(BOUND, product=product(rollback=Rollback(restore="ask")))
    assert asked("restore-lossless", {"lossless": True}, asking)[:2] == (False, "restore-asks")
    assert asked("restore-lossless", {"lossless": True})[:2] == (True, "ok")


SHIPS = {"product": "acme", "phase": "active", "base": "1" * 40, "environments": ["production", "staging"]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, (True, "ok", "acme is active and has staging and production")),
        ({"product": "other"}, (False, "product-unknown", "how acme stands is not known")),
        ({"environments": "all"}, (False, "product-unknown", "how acme stands is not known")),
        ({"phase": "retired"}, (False, "product-not-shippable", "acme is retired, and only an active product ships")),
        (
            {"phase": None},
            (False, "product-not-shippable", "acme is in no known phase, and only an active product ships"),
        ),
        ({"base": ""}, (False, "base-missing", "the remote has no branch main")),
        ({"environments": ["production"]}, (False, "environment-missing", "acme has no staging")),
        ({"environments": []}, (False, "environment-missing", "acme has no staging and no production")),
    ],
)
def test_a_product_ships_that_is_active_and_whole(change, told):
    assert asked("product-shippable", {**SHIPS, **change}) == told


def test_programs_are_told_by_what_is_wrong_with_them():
    good, bad = {"name": "git", "use": "refs", "problem": ""}, {"name": "gh", "use": "the forge", "problem": "too old"}
    assert asked("tools-known", {"tools": [good, good]}) == (True, "ok", "2 programs present")
    assert asked("tools-known", {"tools": [good, bad]}) == (
        False,
        "tools-missing",
        "not ready: gh (for the forge): too old",
    )
    for odd in ([], None, "git", [good, "gh"]):
        assert asked("tools-known", {"tools": odd}) == (
            False,
            "tools-unknown",
            "which programs are installed is not known",
        )
    assert not asked("tools-known", {"tools": [{"name": "git"}]})[0]


CHECKED = (ManualCheck("looks", "Does it look right?", 3600), ManualCheck("reads", "Does it read right?", 3600))


def answered(**answers):
    rows = [{"id": name, "answer": "yes", "fresh": True, **row} for name, row in answers.items()]
    owner = dataclasses.replace(BOUND, product=product(manual_checks=CHECKED))
    return asked("manual-checks-answered", {"sha": SHA, "checks": rows}, owner)


def test_manual_checks_are_answered_with_yes_for_this_commit_and_lately():
    assert answered(looks={}, reads={}) == (True, "ok", "2 manual checks answered with yes")
    assert answered(looks={}) == (False, "manual-check-open", "not answered for 4f2a91c: reads")
    assert answered() == (False, "manual-check-open", "not answered for 4f2a91c: looks, reads")
    old = {"fresh": False}
    assert answered(looks=old, reads={}) == (False, "manual-check-open", "not answered for 4f2a91c: looks (too old)")
    assert answered(looks={"answer": "maybe"}, reads={}) == (
        False,
        "manual-check-open",
        "not answered for 4f2a91c: looks",
    )
    assert not answered(looks={"fresh": 1}, reads={})[0]
    no = {"answer": "no", "who": "ann"}
    assert answered(looks=no, reads={}) == (False, "manual-check-no", "answered with no: looks (by ann)")
    assert (
        answered(looks={**no, "note": "blue"}, reads=no)[2] == "answered with no: looks (by ann: blue), reads (by ann)"
    )
    owner = dataclasses.replace(BOUND, product=product(manual_checks=CHECKED))
    for facts in ({"sha": "9" * 40, "checks": []}, {"sha": SHA}, {"sha": SHA, "checks": {}}):
        assert asked("manual-checks-answered", facts, owner)[1] == "manual-checks-unknown"
    assert asked("manual-checks-answered", {"sha": SHA, "checks": []})[0]  # there is none


def test_secrets_are_counted_and_the_first_is_named():
    found = {"file": "a", "line": 1, "rule": "r", "fingerprint": "f"}
    one = asked("no-secrets", {"complete": True, "count": 1, "findings": [found]})
    assert one == (False, "secrets-found", "secrets in what would be released: a:1 (r), f")
    assert asked("no-secrets", {"complete": True, "count": 1, "findings": [found, found]})[2].endswith("f and 1 more")
    assert asked("no-secrets", {"complete": True, "count": 3, "findings": [found]})[2].endswith("f and 2 more")
    assert asked("no-secrets", {"complete": True, "count": 1, "findings": []})[:2] == (False, "secrets-found")
    clean = {"complete": True, "count": 0, "findings": []}
    assert asked("no-secrets", clean) == (True, "ok", "no secrets")
    assert asked("no-secrets", {**clean, "skipped": ["x", "y"]})[2] == "no secrets, 2 large files not looked through"
    for skipped in ([], "x", None):
        assert asked("no-secrets", {**clean, "skipped": skipped})[2] == "no secrets"
    for odd in ({**clean, "complete": 1}, {**clean, "findings": None}):
        assert asked("no-secrets", odd)[:2] == (False, "secrets-unscanned")
