"""What the forge knows: checks of a commit, open pull requests and issues, the pull requests of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import forge
from pilothouse_tools.batches import Lookup, look_up
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_STATES = {
    "success": "success",
    "failure": "failure",
    "error": "failure",
    "timed_out": "failure",
    "cancelled": "failure",
    "action_required": "failure",
    "startup_failure": "failure",
    "stale": "unknown",
    "skipped": "skipped",
    "neutral": "neutral",
    "pending": "pending",
}
# Where a status and a check run share a name, the worse one counts.
_WORSE = ("success", "neutral", "skipped", "pending", "unknown", "failure")
_MOST_PULLS = 2000
_NOT_TOLD = frozenset({"forge-not-found", "forge-denied"})


def _ci(context: Context, arguments: Arguments) -> Observation:
    sha = arguments.text("sha")
    runs = list(
        forge.pages(context, forge.path(context, "commits", sha, "check-runs"), {"filter": "latest"}, "check_runs")
    )
    total = forge.get(context, forge.path(context, "commits", sha, "check-runs"), {"filter": "latest", "per_page": "1"})
    statuses = list(forge.pages(context, forge.path(context, "commits", sha, "statuses"), {}))
    checks: dict[str, dict[str, Json]] = {}
    for found in (*_newest(runs, "name"), *_newest(statuses, "context")):
        shown = _check(found)
        name = str(shown["name"])
        before = checks.get(name)
        if before is None or _WORSE.index(str(shown["state"])) > _WORSE.index(str(before["state"])):
            checks[name] = shown
    # The number is asked again after the pages: runs that were added in between make the list incomplete.
    complete = isinstance(total, dict) and total.get("total_count") == len(runs)
    listed: list[Json] = [checks[name] for name in sorted(checks)]
    green = sum(item["state"] == "success" for item in checks.values())
    facts: dict[str, Json] = {"sha": sha, "checks": listed, "complete": complete}
    if "branch" in arguments:  # what the forge itself would ask of that branch
        facts["required"] = _required_checks(context, arguments).facts["names"]
    return Observation(facts, sha, f"CI {green}/{len(checks)} green")


def _newest(items: list[dict[str, Json]], name: str) -> list[dict[str, Json]]:
    """The newest of each name: the forge numbers them as they come."""
    newest: dict[str, dict[str, Json]] = {}
    for item in items:
        before = newest.get(forge.word(item, name))
        if before is None or forge.number(item, "id") > forge.number(before, "id"):
            newest[forge.word(item, name)] = item
    return list(newest.values())


def _check(item: dict[str, Json]) -> dict[str, Json]:
    if "context" in item:
        said, source, url, at = (
            forge.word(item, "state"),
            "status",
            forge.word(item, "target_url"),
            forge.word(item, "updated_at"),
        )
    else:
        done = forge.word(item, "status") == "completed"
        said, source = (forge.word(item, "conclusion") if done else "pending"), "check"
        url, at = forge.word(item, "html_url"), forge.word(item, "completed_at") or forge.word(item, "started_at")
    name = one_line(forge.word(item, "context") or forge.word(item, "name"), 200)
    return {"name": name, "source": source, "state": _STATES.get(said, "unknown"), "url": url, "at": at}


def _labelled(context: Context, labels: tuple[str, ...]) -> list[dict[str, Json]]:
    """Open issues and pull requests that bear any of the labels; the API's own filter demands all of them."""
    found: dict[int, dict[str, Json]] = {}
    for label in labels:
        for item in forge.pages(context, forge.path(context, "issues"), {"state": "open", "labels": label}):
            found[forge.number(item)] = item
    return [found[number] for number in sorted(found)]


def _open_pulls(context: Context, arguments: Arguments) -> Observation:
    labels = set(arguments.items("labels"))
    query = {"state": "open", "base": context.product.base}
    found = forge.pages(context, forge.path(context, "pulls"), query) if labels else iter(())
    pulls: list[Json] = [
        {
            "number": forge.number(item),
            "title": one_line(forge.word(item, "title")),
            "author": forge.word(item, "user", "login"),
            "url": forge.word(item, "html_url"),
        }
        for item in found
        if labels & set(_label_names(item))
    ]
    return Observation({"pulls": pulls}, "", f"{len(pulls)} open pull requests meant for it")


def _label_names(item: dict[str, Json]) -> list[str]:
    labels = item.get("labels")
    return (
        [forge.word(label, "name") for label in labels if isinstance(label, dict)] if isinstance(labels, list) else []
    )


def _issues(context: Context, arguments: Arguments) -> Observation:
    issues: list[Json] = [
        {
            "number": forge.number(item),
            "title": one_line(forge.word(item, "title")),
            "url": forge.word(item, "html_url"),
            "labels": cast("list[Json]", _label_names(item)),
        }
        for item in _labelled(context, arguments.items("labels"))
        if not item.get("pull_request")
    ]
    return Observation({"issues": issues}, "", f"{len(issues)} open issues")


def _pulls(context: Context, arguments: Arguments) -> Observation:
    wanted = arguments.value("numbers")
    valid = isinstance(wanted, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**31 for n in wanted
    )
    if not valid or len(cast("list[Json]", wanted)) > _MOST_PULLS:
        raise ToolFailed(
            "bad-argument", f"forge.pulls argument 'numbers' must be a list of at most {_MOST_PULLS} positive numbers"
        )
    numbers = sorted(set(cast("list[int]", wanted)))
    fields = "number title url state mergedAt author { login }"
    lookups = [Lookup(f"pullRequest(number: {number}) {{ {fields} }}", f"pull request #{number}") for number in numbers]
    found = dict(zip(numbers, look_up(context, lookups), strict=True))
    pulls: list[Json] = [
        {
            "number": number,
            "title": one_line(forge.word(pull, "title")),
            "author": forge.word(pull, "author", "login"),
            "url": forge.word(pull, "url"),
            "merged_at": forge.word(pull, "mergedAt"),
            "state": forge.word(pull, "state").lower(),
        }
        for number, pull in found.items()
        if pull is not None
    ]
    missing: list[Json] = [number for number, pull in found.items() if pull is None]
    return Observation(
        {"pulls": pulls, "missing": missing}, "", f"{len(pulls)} pull requests, {len(missing)} not found"
    )


def _milestones(context: Context, _arguments: Arguments) -> Observation:
    query = {"state": "closed", "sort": "due_on", "direction": "desc"}
    found = forge.pages(context, forge.path(context, "milestones"), query)
    milestones: list[Json] = [
        {
            "number": forge.number(item),
            "title": one_line(forge.word(item, "title")),
            "closed_at": forge.word(item, "closed_at"),
        }
        for item in found
        if forge.word(item, "closed_at")
    ]
    return Observation({"milestones": milestones}, "", f"{len(milestones)} closed milestones")


def _pulls_into(context: Context, arguments: Arguments) -> Observation:
    branch = arguments.text("branch")
    found = forge.pages(context, forge.path(context, "pulls"), {"state": "open", "base": branch})
    pulls: list[Json] = [
        {
            "number": forge.number(item),
            "title": one_line(forge.word(item, "title")),
            "author": forge.word(item, "user", "login"),
            "url": one_line(forge.word(item, "html_url"), 300),
            "draft": item.get("draft") is True,
        }
        for item in sorted(found, key=forge.number)
    ]
    what = "pull request" if len(pulls) == 1 else "pull requests"
    return Observation({"pulls": pulls}, "", f"{len(pulls)} open {what} into {branch}")


def _required_checks(context: Context, arguments: Arguments) -> Observation:
    """Both ways in which GitHub requires checks: a protected branch's own list, and rulesets; both hold at once."""
    branch = arguments.text("branch")
    protected, ruled = _protected(context, branch), _ruled(context, branch)
    source = "protection" if protected else "rules" if ruled else "none"
    names: list[Json] = [*sorted(protected | ruled)]
    return Observation({"names": names, "source": source}, "", f"{len(names)} required checks ({source})")


def _protected(context: Context, branch: str) -> set[str]:
    # Not .../protection: only administrators may read that one.
    answer = _asked(context, "branches", branch)
    found: Json = answer if isinstance(answer, dict) else {}
    for part in ("protection", "required_status_checks", "contexts"):
        found = found.get(part) if isinstance(found, dict) else None
    return {one_line(name) for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def _ruled(context: Context, branch: str) -> set[str]:
    names: set[str] = set()
    try:
        rules = list(forge.pages(context, forge.path(context, "rules", "branches", branch), {}))
    except ToolFailed as failure:
        if failure.reason_code not in _NOT_TOLD:
            raise
        return names
    for rule in rules:
        parameters = rule.get("parameters")
        if forge.word(rule, "type") == "required_status_checks" and isinstance(parameters, dict):
            checks = parameters.get("required_status_checks")
            listed = checks if isinstance(checks, list) else []
            names |= {forge.word(item, "context") for item in listed if isinstance(item, dict)}
    return {one_line(name) for name in names if name}


def _asked(context: Context, *parts: str) -> Json:
    """What an address answers; None where there is nothing, or the credential may not see it."""
    try:
        return forge.get(context, forge.path(context, *parts))
    except ToolFailed as failure:
        if failure.reason_code not in _NOT_TOLD:
            raise
        return None


TOOLS = (
    observes(
        "forge.ci",
        "Statuses and check runs of exactly one commit, the newest of each name.",
        {
            "sha": Argument("sha"),
            "branch": Argument("ref", required=False, about="whose required checks are asked for, too"),
        },
        {"sha": "sha", "checks": "object", "complete": "flag", "required": "names"},
        _ci,
    ),
    observes(
        "forge.open_pulls",
        "Open pull requests against the base that bear one of the labels.",
        {"labels": Argument("labels")},
        {"pulls": "object"},
        _open_pulls,
    ),
    observes(
        "forge.issues",
        "Open issues that bear one of the labels.",
        {"labels": Argument("labels")},
        {"issues": "object"},
        _issues,
    ),
    observes(
        "forge.pulls",
        "Pull requests by number, a hundred a request.",
        {"numbers": Argument("object", about="list of numbers")},
        {"pulls": "object", "missing": "object"},
        _pulls,
    ),
    observes(
        "forge.pulls_into",
        "Open pull requests into a branch.",
        {"branch": Argument("ref")},
        {"pulls": "object"},
        _pulls_into,
    ),
    observes(
        "forge.required_checks",
        "The checks that the forge itself requires of a branch, by its protection or by rulesets.",
        {"branch": Argument("ref")},
        {"names": "names", "source": "text"},
        _required_checks,
    ),
    observes(
        "forge.milestones", "Closed milestones, and when they were closed.", {}, {"milestones": "object"}, _milestones
    ),
)
