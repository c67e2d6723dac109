"""Gates: pure functions from evidence to pass or fail with a reason code.

A rule sees the facts of one recorded observation and what the run is bound to. Missing, empty, partial, pending and
unknown fail (I4). Each failure says what, on which evidence, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pilothouse.canonical import Json
from pilothouse.guard.bound import Bound, Facts, Rule
from pilothouse.guard.bound import items as _items
from pilothouse.guard.bound import number as _number
from pilothouse.guard.bound import whole as _whole
from pilothouse.guard.promotion import PROMOTION_RULES
from pilothouse.guard.state import Evidence, RunState
from pilothouse.model import Finding, Gate


def _titles(items: list[dict[str, Json]], limit: int = 3) -> str:
    shown = ", ".join(f"#{item.get('number')} {item.get('title')}" for item in items[:limit])
    return shown + (f" and {len(items) - limit} more" if len(items) > limit else "")


def credentials_present(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """Every credential variable that an environment names is set (before the first act)."""
    missing = _items(facts, "missing")
    if not _whole(facts, "missing"):
        return False, "credentials-unknown", "whether the credentials are present is not known", ""
    if missing:
        names = ", ".join(f"{item.get('name')} ({item.get('environment')})" for item in missing)
        return False, "credentials-missing", f"missing credentials: {names}", "set these variables, then resume"
    return True, "ok", "credentials present", ""


def tools_known(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """Every program that the release needs is there, at a version that works (INT-5)."""
    if not _whole(facts, "tools") or not facts.get("tools"):
        return False, "tools-unknown", "which programs are installed is not known", "see: pilothouse doctor"
    lacking = [item for item in _items(facts, "tools") if item.get("problem") != ""]
    if lacking:
        listed = "; ".join(f"{item.get('name')} (for {item.get('use')}): {item.get('problem')}" for item in lacking)
        return False, "tools-missing", f"not ready: {listed}", "install them (see: pilothouse doctor), then resume"
    return True, "ok", f"{len(_items(facts, 'tools'))} programs present", ""


def product_shippable(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """The product is one that ships: active, with a base branch, staging and production (INT-5)."""
    name, environments = bound.product.name, facts.get("environments")
    if facts.get("product") != name or not isinstance(environments, list):
        return False, "product-unknown", f"how {name} stands is not known", "try again: resume"
    if facts.get("phase") != "active":
        told = f"{name} is {facts.get('phase') or 'in no known phase'}, and only an active product ships"
        return False, "product-not-shippable", told, f"set products.{name}.phase: active in pilothouse.yml, ship again"
    if not facts.get("base"):
        return False, "base-missing", f"the remote has no branch {bound.product.base}", "push it, then resume"
    lacking = [place for place in ("staging", "production") if place not in environments]
    if lacking:
        hint = f"describe products.{name}.environments.{lacking[0]} in pilothouse.yml, then ship again"
        return False, "environment-missing", f"{name} has no {' and no '.join(lacking)}", hint
    return True, "ok", f"{name} is active and has staging and production", ""


def manual_checks_answered(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """A person answered every manual check with yes, for exactly this commit and lately enough (APR-8)."""
    if facts.get("sha") != bound.to_sha or not isinstance(facts.get("checks"), list):
        return False, "manual-checks-unknown", "how the manual checks were answered is not known", "try again: resume"
    command = f"pilothouse validate {bound.product.name}"
    known = {str(item.get("id")): item for item in _items(facts, "checks")}
    refused, missing = [], []
    for check in bound.product.manual_checks:
        answer = known.get(check.id, {})
        if answer.get("answer") == "no":
            note = f": {answer.get('note')}" if answer.get("note") else ""
            refused.append(f"{check.id} (by {answer.get('who')}{note})")
        elif answer.get("answer") != "yes" or answer.get("fresh") is not True:
            missing.append(f"{check.id}{' (too old)' if answer.get('answer') == 'yes' else ''}")
    if refused:
        hint = f"mend it and ship again; or answer anew: {command}"
        return False, "manual-check-no", f"answered with no: {', '.join(refused)}", hint
    if missing:
        hint = f"answer them on a terminal: {command}; then resume"
        return False, "manual-check-open", f"not answered for {bound.to_sha[:7]}: {', '.join(missing)}", hint
    return True, "ok", f"{len(bound.product.manual_checks)} manual checks answered with yes", ""


def no_secrets(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """The range brings no secret into the repository but those that the base branch allows (AUT-4)."""
    if facts.get("complete") is not True or not isinstance(facts.get("findings"), list):
        return False, "secrets-unscanned", "whether the range holds a secret is not known", "try again: resume"
    findings = _items(facts, "findings")
    count = max(_number(facts, "count"), len(findings))
    if count:
        first = findings[0] if findings else {}
        where = f"{first.get('file')}:{first.get('line')} ({first.get('rule')}), {first.get('fingerprint')}"
        hint = (
            "replace each secret where it is valid: it is in the history. One that is none goes under"
            " readiness.allowed_secrets in pilothouse.yml on the base branch"
        )
        more = f" and {count - 1} more" if count > 1 else ""
        return False, "secrets-found", f"secrets in what would be released: {where}{more}", hint
    skipped = facts.get("skipped")
    left = f", {len(skipped)} large files not looked through" if isinstance(skipped, list) and skipped else ""
    return True, "ok", f"no secrets{left}", ""


_CI_HINT = "if the check was at fault, re-run it and resume; if the code was, mend it and ship again"


def ci_green(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """Statuses and check runs of exactly the pinned sha, judged together (REL-1, AUD-2, I4)."""
    if facts.get("sha") != bound.to_sha:
        return False, "ci-other-sha", "the CI evidence is about another commit", ""
    if facts.get("complete") is not True:
        return False, "ci-incomplete", "the list of checks could not be read completely", "try again: resume"
    checks = {str(item.get("name")): str(item.get("state")) for item in _items(facts, "checks")}
    protected = facts.get("required")
    named = tuple(str(name) for name in protected) if isinstance(protected, list) else ()
    required = bound.product.readiness.checks or named or tuple(sorted(checks))
    if not required:
        return False, "ci-missing", "no check has reported on this commit", _CI_HINT
    fine = {"success"}
    skippable = set(bound.product.readiness.allow_skipped)
    bad: dict[str, str] = {}
    for name in required:
        state = checks.get(name, "missing")
        if state not in fine and not (state in {"skipped", "neutral"} and name in skippable):
            bad[name] = state
    # A red check that nobody required still blocks: somebody looks at it before it is ignored.
    bad.update({name: state for name, state in checks.items() if state == "failure" and name not in bad})
    if not bad:
        green = sum(1 for state in checks.values() if state == "success")
        return True, "ok", f"CI {green}/{len(checks)} green", ""
    listed = ", ".join(f"{name} ({state})" for name, state in sorted(bad.items()))
    code = "ci-red" if "failure" in bad.values() else "ci-pending" if "pending" in bad.values() else "ci-missing"
    return False, code, f"not green on {bound.to_sha[:7]}: {listed}", _CI_HINT


def nothing_left_to_merge(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """Every pull request meant for the release is merged (REL-1)."""
    if not _whole(facts, "pulls"):
        return False, "pulls-unknown", "the open pull requests could not be read", "try again: resume"
    pulls = _items(facts, "pulls")
    if pulls:
        hint = "merge them and ship again, or take the label off and resume"
        return False, "pulls-open", f"open and meant for this release: {_titles(pulls)}", hint
    return True, "ok", "every pull request meant for it is merged", ""


def no_blockers(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """No open bug of a blocking severity (REL-1)."""
    if not _whole(facts, "issues"):
        return False, "issues-unknown", "the open issues could not be read", "try again: resume"
    issues = _items(facts, "issues")
    if issues:
        hint = "close them or lower their severity, then resume"
        return False, "blockers-open", f"open and blocking: {_titles(issues)}", hint
    return True, "ok", "0 blocking bugs", ""


def changelog_ready(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """The changelog has unreleased entries (REL-1)."""
    entries = _number(facts, "entries")
    if entries == 0:
        name = bound.product.versioning.changelog
        return False, "changelog-empty", f"{name} has no unreleased entries", "write them, then ship again"
    return True, "ok", f"changelog: {entries} unreleased", ""


def suite_passed(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """A suite ran and passed; one that is not configured refuses unless policy says otherwise (REL-2, REL-7)."""
    name = str(facts.get("suite"))
    if facts.get("configured") is not True:
        if bound.policy.unconfigured_suites == "allow":
            return True, "ok", f"{name}: not configured, allowed by policy", ""
        hint = f"configure suites.{name} in pilothouse.yml, or set policy.unconfigured_suites: allow"
        return False, "suite-not-configured", f"the suite {name} is not configured", hint
    total, failed = _number(facts, "total"), _number(facts, "failed")
    if facts.get("passed") is not True:
        count = f" ({failed} of {total} failed)" if total else ""
        return False, "tests-red", f"{name} did not pass{count}", "see its log in the evidence, mend, ship again"
    return True, "ok", f"{name} {total}/{total}" if total else f"{name} passed", ""


def migrations_expected(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """What is pending is exactly what the released range adds (PRO-6, I20)."""
    unexpected = facts.get("unexpected")
    if not isinstance(unexpected, list) or not isinstance(facts.get("pending"), list):
        return False, "migrations-unknown", "the pending migrations could not be read", "try again: resume"
    if unexpected:
        names = ", ".join(str(name) for name in unexpected)
        hint = "find out why this environment is behind; apply or remove them by hand, then resume"
        return False, "migrations-unexpected", f"pending but not part of this release: {names}", hint
    return True, "ok", f"pending migrations as expected: {len(_items(facts, 'pending'))}", ""


def live(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """Production answers which version it runs, so that there is a version to go back to (I26)."""
    if facts.get("reachable") is not True or not facts.get("sha") or not facts.get("version"):
        hint = "without a known good version there is no way back; bring it up, then resume"
        return False, "production-unknown", "production does not answer which version it runs", hint
    return True, "ok", f"{facts.get('version')} is live", ""


def still_live(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """Production still runs what the plan goes back to, or what this run put there (I10, I26)."""
    passed, code, message, hint = live(facts, bound)
    if not passed:
        return passed, code, message, hint
    before, now = bound.live.get("sha"), facts.get("sha")
    if now != before and now not in bound.own_shas:
        told = f"production changed since the run began: {_named(bound.live)} → {_named(facts)}"
        hint = "the way back would lead to the wrong version: abort this run and ship again"
        return False, "production-changed", told, hint
    return True, "ok", f"{facts.get('version')} is still live" if now == before else "this release is live", ""


def _named(facts: Facts) -> str:
    return f"{facts.get('version') or 'unknown'} ({str(facts.get('sha') or 'unknown')[:7]})"


def backed_up(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """There is a backup to go back to (its age is the gate's, I20)."""
    if not facts.get("key"):
        return False, "backup-missing", "there is no backup of production", "look at the backup command, then resume"
    return True, "ok", f"backup {facts.get('key')}", ""


def healthy(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """The expected version answered healthily, n times in a row (I24)."""
    if facts.get("healthy") is True:
        return True, "ok", f"healthy {_number(facts, 'in_a_row')} of {_number(facts, 'needed')}", ""
    looks = _items(facts, "looks")
    problem = str(looks[-1].get("problem") or "") if looks else "no answer"
    return False, "unhealthy", f"not healthy: {problem or 'no look succeeded'}", "look at its logs and health page"


def logs_clean(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """No rejected text among the recent log lines (REL-7)."""
    if facts.get("configured") is not True:
        return True, "ok", "logs: not configured", ""
    hits = facts.get("hits")
    if not isinstance(hits, list):
        return False, "logs-unknown", "the logs could not be read", "try again: resume"
    if hits:
        return False, "logs-not-clean", f"{len(hits)} log lines to look at, first: {str(hits[0])[:120]}", ""
    return True, "ok", "logs clean", ""


def no_drift(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """Staging is configured like production, but for the keys that may differ (REL-7)."""
    if facts.get("configured") is not True:
        return True, "ok", "drift: not configured", ""
    if not _whole(facts, "differences"):
        return False, "drift-unknown", "the settings could not be compared", "try again: resume"
    keys = ", ".join(str(item.get("key")) for item in _items(facts, "differences"))
    if keys:
        hint = "make them equal, or list the keys under drift.ignore in pilothouse.yml"
        return False, "configuration-drift", f"staging differs from production in: {keys}", hint
    return True, "ok", "no drift", ""


_RESTORE = "decide: lift the hold to restore, or repair by a compensating migration"


def restore_lossless(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """Restoring the backup loses no write, and the configuration does not want every restore asked for (RB-2)."""
    if facts.get("lossless") is True:
        if bound.product.rollback.restore != "ask":
            return True, "ok", "nothing was written since the backup", ""
        return False, "restore-asks", "restoring the backup is a person's to decide (rollback.restore: ask)", _RESTORE
    writes = facts.get("writes_since")
    told = (
        f"{writes} writes since the backup would be lost"
        if isinstance(writes, int)
        else "what would be lost is unknown"
    )
    return False, "restore-loses-data", told, _RESTORE


RULES: Mapping[str, Rule] = {
    **PROMOTION_RULES,
    "credentials-present": credentials_present,
    "tools-known": tools_known,
    "product-shippable": product_shippable,
    "ci-green": ci_green,
    "nothing-left-to-merge": nothing_left_to_merge,
    "no-blockers": no_blockers,
    "changelog-ready": changelog_ready,
    "no-secrets": no_secrets,
    "manual-checks-answered": manual_checks_answered,
    "suite-passed": suite_passed,
    "migrations-expected": migrations_expected,
    "live": live,
    "still-live": still_live,
    "backed-up": backed_up,
    "healthy": healthy,
    "logs-clean": logs_clean,
    "no-drift": no_drift,
    "restore-lossless": restore_lossless,
}

# These look at an environment, whatever runs there; the tool itself was told which version and commit to expect.
ABOUT_AN_ENVIRONMENT = frozenset({"live", "still-live", "healthy"})


def judge(gate: Gate, state: RunState, bound: Bound, now: datetime) -> Finding:
    """Judge one gate on the latest evidence of its step.

    Args:
        now: the present, UTC; evidence older than the gate's ``max_age`` (seconds) fails.
    """
    if gate.on in state.skipped:
        return Finding(gate.id, passed=True, reason_code="ok", message="does not apply")
    evidence = evidence_of(gate.on, state)
    if evidence is None:
        return Finding(gate.id, passed=False, reason_code="evidence-missing", message=f"{gate.on} was not observed")
    others = evidence.sha and evidence.sha != bound.to_sha and evidence.sha not in bound.own_shas
    if others and gate.rule not in ABOUT_AN_ENVIRONMENT:
        return Finding(
            gate.id, passed=False, reason_code="evidence-other-sha", evidence=(evidence.id,),
            message=f"the evidence of {gate.on} is about {evidence.sha[:7]}, not about this release",
        )  # fmt: skip
    if is_stale(gate, evidence, now) and gate.on in state.acts:
        # An act is not done twice: what it left was fresh enough once production was touched, or it is too late.
        if not state.production_attempted():
            return Finding(
                gate.id, passed=False, reason_code="backup-too-old", evidence=(evidence.id,),
                message=f"{gate.on} was done at {evidence.at[:16]}, more than {gate.max_age} s ago",
                hint="abort this run and ship again",
            )  # fmt: skip
    elif is_stale(gate, evidence, now):
        return Finding(
            gate.id, passed=False, reason_code="evidence-too-old", evidence=(evidence.id,),
            message=f"the evidence of {gate.on} is older than {gate.max_age} s", hint="resume to look again",
        )  # fmt: skip
    passed, code, message, hint = RULES[gate.rule](evidence.facts, bound)
    return Finding(gate.id, passed, code, message, (evidence.id,), hint)


def evidence_of(step: str, state: RunState) -> Evidence | None:
    """What a step left to be judged: the latest look of one that looks, the outcome of one that acts."""
    act = state.acts.get(step)
    if act is not None and act.done is not None:
        return state.evidence_by_id.get(act.done.evidence)
    return state.evidence.get(step)


def is_stale(gate: Gate, evidence: Evidence, now: datetime) -> bool:
    """Whether the evidence has outlived the gate's maximum age (evidence from the future is stale, too)."""
    if gate.max_age is None:
        return False
    age = now - datetime.fromisoformat(evidence.at)
    return age > timedelta(seconds=gate.max_age) or age < timedelta(seconds=-60)


def to_look_again(gates: list[Gate], state: RunState, bound: Bound, now: datetime) -> tuple[str, ...]:
    """The observe steps whose evidence these gates need afresh.

    That is what is too old, what failed before the last resume, and what may have changed with what voided an approval.
    """
    steps: list[str] = []
    for gate in gates:
        evidence = state.evidence.get(gate.on)
        if evidence is None or gate.on in steps:
            continue
        before = evidence.seq < state.resumed_seq
        changed = gate.max_age is not None and evidence.seq < state.void_seq
        if changed or is_stale(gate, evidence, now) or (before and not judge(gate, state, bound, now).passed):
            steps.append(gate.on)
    return tuple(steps)
