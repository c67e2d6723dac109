"""Gates: missing, empty, partial, pending, unknown, too old and about another commit fail (I4, REL-1, RB-2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guard_samples import product
from pilothouse import events as e
from pilothouse.guard.bound import Bound
from pilothouse.guard.fold import fold
from pilothouse.guard.gates import RULES, judge, to_look_again
from pilothouse.model import Gate
from pilothouse.settings import Policy, Readiness, Rollback
from story import SHA, START, act, approved, chained, done, failed, intended, observed, opened, planned, started


def bound(policy=None, **changes):
    live = {"sha": "1" * 40, "version": "1.3.0"}
    return Bound(product(**changes), policy or Policy(), SHA, frozenset({"2" * 40}), live)


def checks(**states):
    return {"sha": SHA, "complete": True, "checks": [{"name": name, "state": state} for name, state in states.items()]}


PROMOTION = {"branch": "staging", "base": "main", "base_sha": SHA, "ahead": 2, "behind": 0, "on": "staging"}
CONTENTS = {
    "commits": [{"sha": SHA}],
    "pulls": [{"number": 1}],
    "unlinked": [],
    "unreviewed": [],
    "unread": [],
    "counts": {"commits": 1},
}
DEPLOYMENT = {"sha": SHA, "found": True, "state": "success", "environment": "production"}
CASES = [
    ("fast-forward", PROMOTION, "ok"),
    ("fast-forward", {**PROMOTION, "on": ""}, "ok"),  # a detached HEAD, as in CI
    ("fast-forward", {**PROMOTION, "on": "topic"}, "wrong-branch"),
    ("fast-forward", {**PROMOTION, "behind": 1}, "main-diverged"),
    ("fast-forward", {**PROMOTION, "ahead": 0}, "nothing-to-promote"),
    ("fast-forward", {**PROMOTION, "behind": None}, "branches-unknown"),
    ("contents-linked", CONTENTS, "ok"),
    ("contents-linked", {**CONTENTS, "unread": ["#7"]}, "contents-incomplete"),
    ("contents-linked", {**CONTENTS, "commits": []}, "contents-incomplete"),
    ("contents-linked", {**CONTENTS, "unlinked": [{"sha": SHA, "subject": "x"}]}, "contents-unlinked"),
    ("contents-linked", {**CONTENTS, "unreviewed": [1]}, "contents-unlinked"),
    ("deployed", DEPLOYMENT, "ok"),
    ("deployed", {**DEPLOYMENT, "sha": "9" * 40}, "deployment-other-sha"),
    ("deployed", {**DEPLOYMENT, "found": False}, "deployment-missing"),
    ("deployed", {**DEPLOYMENT, "state": "failure"}, "deployment-failed"),
    ("deployed", {**DEPLOYMENT, "state": "pending"}, "deployment-failed"),
    ("ci-green", checks(unit="success", lint="success"), "ok"),
    ("ci-green", checks(unit="success", lint="skipped"), "ok"),
    ("ci-green", checks(unit="skipped", lint="success"), "ci-missing"),
    ("ci-green", checks(unit="neutral", lint="success"), "ci-missing"),
    ("ci-green", checks(unit="failure", lint="success"), "ci-red"),
    ("ci-green", checks(unit="success", lint="success", other="failure"), "ci-red"),
    ("ci-green", checks(unit="pending", lint="success"), "ci-pending"),
    ("ci-green", checks(unit="success"), "ci-missing"),
    ("ci-green", checks(unit="unknown", lint="success"), "ci-missing"),
    ("ci-green", {**checks(unit="success", lint="success"), "complete": False}, "ci-incomplete"),
    ("ci-green", {**checks(unit="success", lint="success"), "sha": "0" * 40}, "ci-other-sha"),
    ("ci-green", {}, "ci-other-sha"),
    ("credentials-present", {"missing": []}, "ok"),
    ("credentials-present", {"missing": [{"environment": "production", "name": "TOKEN"}]}, "credentials-missing"),
    ("credentials-present", {}, "credentials-unknown"),
    ("nothing-left-to-merge", {"pulls": []}, "ok"),
    ("nothing-left-to-merge", {"pulls": [{"number": 7, "title": "x"}]}, "pulls-open"),
    ("nothing-left-to-merge", {}, "pulls-unknown"),
    ("no-blockers", {"issues": []}, "ok"),
    ("no-blockers", {"issues": [{"number": 7, "title": "x"}]}, "blockers-open"),
    ("no-blockers", {}, "issues-unknown"),
    ("changelog-ready", {"entries": 3}, "ok"),
    ("changelog-ready", {"entries": 0}, "changelog-empty"),
    ("changelog-ready", {}, "changelog-empty"),
    ("changelog-ready", {"entries": True}, "changelog-empty"),
    ("suite-passed", {"suite": "e2e", "configured": True, "passed": True, "total": 3}, "ok"),
    ("suite-passed", {"suite": "e2e", "configured": True, "passed": False, "total": 3, "failed": 1}, "tests-red"),
    ("suite-passed", {"suite": "e2e", "configured": True, "passed": "yes"}, "tests-red"),
    ("suite-passed", {"suite": "e2e", "configured": False}, "suite-not-configured"),
    ("suite-passed", {}, "suite-not-configured"),
    ("migrations-expected", {"pending": [], "unexpected": []}, "ok"),
    ("migrations-expected", {"pending": [], "unexpected": ["0006_x"]}, "migrations-unexpected"),
    ("migrations-expected", {"pending": []}, "migrations-unknown"),
    ("live", {"reachable": True, "sha": SHA, "version": "1.3.0"}, "ok"),
    ("live", {"reachable": True, "sha": "", "version": "1.3.0"}, "production-unknown"),
    ("live", {"reachable": False, "sha": SHA, "version": "1.3.0"}, "production-unknown"),
    ("live", {}, "production-unknown"),
    ("still-live", {"reachable": True, "sha": "1" * 40, "version": "1.3.0"}, "ok"),
    ("still-live", {"reachable": True, "sha": "2" * 40, "version": "1.4.0"}, "ok"),  # this run's own
    ("still-live", {"reachable": True, "sha": "3" * 40, "version": "1.3.1"}, "production-changed"),
    ("still-live", {"reachable": True, "sha": "3" * 40, "version": "1.3.0"}, "production-changed"),
    ("still-live", {"reachable": False}, "production-unknown"),
    ("backed-up", {"key": "b-1"}, "ok"),
    ("backed-up", {"key": ""}, "backup-missing"),
    ("backed-up", {}, "backup-missing"),
    ("healthy", {"healthy": True, "in_a_row": 3, "needed": 3}, "ok"),
    ("healthy", {"healthy": False, "looks": [{"problem": "503"}]}, "unhealthy"),
    ("healthy", {"healthy": 1}, "unhealthy"),
    ("healthy", {}, "unhealthy"),
    ("no-secrets", {"complete": True, "count": 0, "findings": [], "skipped": []}, "ok"),
    ("no-secrets", {"complete": True, "count": 0, "findings": [], "skipped": ["large.bin"]}, "ok"),
    ("no-secrets", {"complete": True, "count": 1, "findings": [{"file": "a", "line": 1, "rule": "r"}]}, "secrets-found"),
    ("no-secrets", {"complete": True, "count": 3, "findings": []}, "secrets-found"),
    ("no-secrets", {"complete": True, "findings": [{"file": "a"}]}, "secrets-found"),
    ("no-secrets", {"complete": False, "findings": []}, "secrets-unscanned"),
    ("no-secrets", {"findings": []}, "secrets-unscanned"),
    ("no-secrets", {"complete": True}, "secrets-unscanned"),
    ("logs-clean", {"configured": True, "hits": []}, "ok"),
    ("logs-clean", {"configured": True, "hits": ["ERROR x"]}, "logs-not-clean"),
    ("logs-clean", {"configured": True}, "logs-unknown"),
    ("no-drift", {"configured": True, "differences": []}, "ok"),
    ("no-drift", {"configured": True, "differences": [{"key": "workers"}]}, "configuration-drift"),
    ("no-drift", {"configured": True}, "drift-unknown"),
    ("tools-known", {"tools": [{"name": "git", "problem": ""}]}, "ok"),
    ("tools-known", {"tools": [{"name": "git", "problem": "not found on the PATH"}]}, "tools-missing"),
    ("tools-known", {"tools": []}, "tools-unknown"),
    ("product-shippable", {
        "product": "acme", "phase": "active", "base": SHA, "environments": ["production", "staging"],
    }, "ok"),
    ("product-shippable", {"product": "acme", "phase": "active", "base": SHA, "environments": []}, "environment-missing"),
    ("product-shippable", {}, "product-unknown"),
    ("manual-checks-answered", {"sha": SHA, "checks": []}, "ok"),
    ("manual-checks-answered", {"sha": "0" * 40, "checks": []}, "manual-checks-unknown"),
    ("manual-checks-answered", {"sha": SHA}, "manual-checks-unknown"),
    ("restore-lossless", {"lossless": True}, "ok"),
    ("restore-lossless", {"lossless": False, "writes_since": 3}, "restore-loses-data"),
    ("restore-lossless", {}, "restore-loses-data"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "facts", "code"), CASES)
def test_a_gate_passes_on_what_it_should_and_on_nothing_else(rule, facts, code):
    passed, reason, message, _hint = RULES[rule](facts, bound())
    assert reason == code
    assert passed == (code == "ok")
    assert message


def test_every_rule_has_a_case_that_passes_and_one_that_fails():
    for rule in RULES:
        codes = {code == "ok" for name, _, code in CASES if name == rule}
        assert codes == {True, False}, rule


def test_without_named_checks_every_check_counts_and_there_must_be_one():
    anything = bound(readiness=Readiness())
    assert RULES["ci-green"](checks(any="success"), anything)[0]
    assert not RULES["ci-green"](checks(any="success", other="pending"), anything)[0]
    assert RULES["ci-green"](checks(), anything)[1] == "ci-missing"


def test_policy_may_allow_a_suite_that_is_not_configured():
    assert RULES["suite-passed"]({"configured": False}, bound(Policy(unconfigured_suites="allow")))[0]


def test_a_restore_that_loses_data_always_asks_and_every_restore_does_where_that_is_configured():
    rule = RULES["restore-lossless"]
    assert not rule({"lossless": False}, bound(rollback=Rollback(restore="auto")))[0]
    assert rule({"lossless": True}, bound(rollback=Rollback(restore="ask")))[1] == "restore-asks"


GATE = Gate("ci", "ci-green", on="ci", max_age=900)
GREEN = checks(unit="success", lint="success")


def state_with(*facts):
    return fold(chained(started(), *facts))


def test_evidence_outlives_its_age_and_is_looked_for_again():
    state = state_with(observed("ci", "e-001", GREEN, sha=SHA))
    assert judge(GATE, state, bound(), START + timedelta(minutes=15)).passed
    late = START + timedelta(minutes=16)
    assert judge(GATE, state, bound(), late).reason_code == "evidence-too-old"
    assert to_look_again([GATE], state, bound(), late) == ("ci",)
    assert to_look_again([GATE], state, bound(), START + timedelta(minutes=15)) == ()


def test_evidence_from_the_future_is_not_trusted():
    state = state_with(observed("ci", "e-001", GREEN, sha=SHA))
    assert judge(GATE, state, bound(), START - timedelta(hours=1)).reason_code == "evidence-too-old"


def test_evidence_that_is_missing_fails_and_that_of_a_skipped_step_does_not_apply():
    assert judge(GATE, state_with(), bound(), START).reason_code == "evidence-missing"
    assert judge(GATE, state_with(e.Skipped("ci", "")), bound(), START).passed


def test_evidence_about_another_commit_fails():
    state = state_with(observed("ci", "e-001", GREEN, sha="0" * 40))
    assert judge(GATE, state, bound(), START).reason_code == "evidence-other-sha"


def test_a_failed_gate_is_looked_at_again_after_a_resume():
    red = observed("ci", "e-001", checks(unit="failure", lint="success"), sha=SHA)
    judged = e.Judged("ready", "ci", passed=False, reason_code="ci-red", message="", evidence=("e-001",))
    rest = e.Refused("ready", "ci-red", "", "", ())
    assert to_look_again([GATE], state_with(red, judged, rest), bound(), START) == ()
    assert to_look_again([GATE], state_with(red, judged, rest, e.Resumed("ceo", "t")), bound(), START) == ("ci",)


BACKUP = planned(act("backup", "backup.create"), act("deploy"))
BACKUP_CARD = opened(plan=BACKUP)
FRESH = Gate("backup-fresh", "backed-up", on="backup", max_age=3600)


def backed_up_and(*more):
    intent = intended(BACKUP, "backup", approval=BACKUP_CARD.approval_digest, tool="backup.create")
    return state_with(BACKUP, BACKUP_CARD, approved(BACKUP_CARD), intent, done("backup", facts={"key": "b-1"}), *more)


def test_a_backup_that_is_too_old_lets_nothing_touch_production():
    state = backed_up_and()
    assert judge(FRESH, state, bound(), START + timedelta(minutes=59)).passed
    finding = judge(FRESH, state, bound(), START + timedelta(minutes=62))
    assert (finding.passed, finding.reason_code) == (False, "backup-too-old")
    assert to_look_again([FRESH], state, bound(), START + timedelta(minutes=62)) == ()


def test_a_backup_does_not_grow_too_old_once_production_was_touched():
    touched = backed_up_and(
        intended(BACKUP, "deploy", approval=BACKUP_CARD.approval_digest), failed("deploy", "reply-lost")
    )
    assert judge(FRESH, touched, bound(), START + timedelta(hours=9)).passed
    assert not judge(FRESH, state_with(), bound(), START).passed  # no backup at all


def test_what_voids_an_approval_has_the_changing_things_looked_at_again():
    seen = observed("live-now", "e-001", {"reachable": True, "sha": "1" * 40, "version": "1.3.0"})
    gate = Gate("still", "still-live", on="live-now", max_age=3600)
    card, plan = opened(plan=planned(act("deploy"))), planned(act("deploy"))
    before = (seen, plan, card, approved(card), intended(plan, "deploy", approval=card.approval_digest))
    assert to_look_again([gate], state_with(*before), bound(), START) == ()
    assert to_look_again([gate], state_with(*before, failed("deploy", "plan-changed")), bound(), START) == ("live-now",)
