"""Gates of an audited promotion: the branches, what is between them, the deployment that follows (AUD-1 … AUD-10)."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.guard.bound import Bound, Facts, Rule, items, number, whole

_SHOWN = 3


def fast_forward(facts: Facts, _bound: Bound) -> tuple[bool, str, str, str]:
    """The base is contained in what is promoted, so that it moves forward and nothing is lost (AUD-1, AUD-9)."""
    base, branch, head = facts.get("base"), facts.get("branch"), str(facts.get("base_sha"))[:7]
    ahead, behind = facts.get("ahead"), facts.get("behind")
    if type(ahead) is not int or type(behind) is not int or not base or not branch:
        return False, "branches-unknown", "how the branches stand is not known", "try again: resume"
    if facts.get("on") not in ("", base, branch):
        told = f"the clone is on {facts.get('on')}; a promotion is asked for on {branch} or {base}"
        return False, "wrong-branch", told, f"switch to it (git switch {branch}), then resume"
    if behind:
        what = f"{behind} {'commit' if behind == 1 else 'commits'}"
        told = f"{base} has diverged: it has {what} that {branch} lacks"
        hint = f"look: git fetch && git log origin/{branch}..origin/{base}; merge {base} into {branch} and ship again"
        return False, "main-diverged", told, hint
    if not ahead:
        return False, "nothing-to-promote", f"{branch} is at {head}, where {base} is: there is nothing to release", ""
    return True, "ok", f"{base} at {head} moves forward by {ahead}", ""


def contents_linked(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """Every commit came by a merged pull request that somebody approved as it was merged, or is listed (AUD-4, I17)."""
    wanted = ("commits", "pulls", "unlinked")
    if not all(whole(facts, name) for name in wanted) or facts.get("unread") not in ([], None):
        return False, "contents-incomplete", "what is between the branches could not be read whole", "try again: resume"
    if not items(facts, "commits"):
        return False, "contents-incomplete", "there is nothing between the branches", "see: pilothouse ship --dry-run"
    unlinked, unreviewed = items(facts, "unlinked"), _numbers(facts, "unreviewed")
    told = []
    if unlinked:
        shown = ", ".join(f"{str(item.get('sha'))[:7]} {item.get('subject')}" for item in unlinked[:_SHOWN])
        told.append(f"without a pull request: {shown}{_more(len(unlinked))}")
    if unreviewed:
        shown = ", ".join(f"#{number}" for number in unreviewed[:_SHOWN])
        told.append(f"not approved as merged: {shown}{_more(len(unreviewed))}")
    audit = bound.product.audit
    if told and (audit is None or audit.unlinked_commits == "block"):
        hint = "have them reviewed by a pull request; or let policy list them: audit.unlinked_commits: list"
        return False, "contents-unlinked", "; ".join(told), hint
    count = len(items(facts, "pulls"))
    said = "; ".join(told) if told else f"{number(_counts(facts), 'commits')} commits by {count} pull requests"
    return True, "ok", said, ""


def deployed(facts: Facts, bound: Bound) -> tuple[bool, str, str, str]:
    """The deployment that the push of exactly this commit started has succeeded (AUD-10)."""
    if str(facts.get("sha")) not in {bound.to_sha, *bound.own_shas}:
        return False, "deployment-other-sha", "the deployment found is of another commit", ""
    state, where = facts.get("state"), facts.get("environment")
    if facts.get("found") is not True:
        hint = "look at what deploys the base branch; then: pilothouse resume"
        return False, "deployment-missing", f"the forge knows no deployment of this commit to {where}", hint
    if state != "success":
        told = f"the deployment to {where} ended as {state}: {facts.get('log_url') or facts.get('url')}"
        return False, "deployment-failed", told, f"go back: pilothouse rollback {bound.product.name} --severity high"
    return True, "ok", f"deployed to {where}", ""


def _counts(facts: Facts) -> Facts:
    counts = facts.get("counts")
    return counts if isinstance(counts, dict) else {}


def _numbers(facts: Facts, name: str) -> list[int]:
    value = facts.get(name)
    return [item for item in value if isinstance(item, int)] if isinstance(value, list) else []


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""


PROMOTION_RULES: Mapping[str, Rule] = {
    "fast-forward": fast_forward,
    "contents-linked": contents_linked,
    "deployed": deployed,
}
