"""What people see of an audited promotion: the summary on the card, and the report at its end (AUD-3, 4, 7, 13)."""

from __future__ import annotations

from pilothouse.canonical import Json
from pilothouse.guard.state import RunState
from pilothouse.render.acts import listing, number
from pilothouse.render.screen import BLANK, Line, Tone, line
from pilothouse.render.text import count, safe, short, wrap

PROMOTION = "git.promotion"  # the look by which a promotion is known
PULLS, TICKETS, AREAS, OPEN = 7, 5, 5, 3  # rows on a card; what is left out is counted
ROOMY = 40  # rows more where there is room

Facts = dict[str, Json]
Row = tuple[str, ...]


def is_promotion(state: RunState) -> bool:
    """Whether a run moves one branch to another."""
    return any(item.tool == PROMOTION for item in state.evidence.values())


def reverts(state: RunState) -> bool:
    """Whether a run takes a promotion back."""
    return bool(state.plan and any(act.tool == "git.revert" for act in state.plan.acts))


def headline(state: RunState, facts: dict[str, Facts]) -> str:
    """Product, branches, shas and release id in one line."""
    seen, started = facts.get("promotion", {}), state.started
    version = str(facts.get("version", {}).get("version") or "")
    before = str(facts.get("live", {}).get("version") or started.from_version)
    step = f"   {safe(before, 30)} → {safe(version, 30)}" if version and version != before else ""
    branches = f"{safe(str(seen.get('branch')), 30)} → {safe(str(seen.get('base')), 30)}"
    return f"{started.product}: {branches}   {short(started.from_sha)} → {short(started.to_sha)}{step}"


def rows(state: RunState, facts: dict[str, Facts], crowd: int) -> list[Row]:
    """The summary: counts, pull requests with archives, tickets, areas, open pull requests, compliance.

    Args:
        state: the run.
        facts: by step.
        crowd: how many steps shorter the tables are, where the card is crowded.
    """
    contents = facts.get("contents", {})
    counts = contents.get("counts")
    counted = counts if isinstance(counts, dict) else {}
    told = [
        count(number(counted, "commits"), "commit"), count(number(counted, "pulls"), "PR"),
        count(number(counted, "tickets"), "ticket"),
        f"{count(number(counted, 'files'), 'file')} (+{number(counted, 'insertions')} −{number(counted, 'deletions')})",
    ]  # fmt: skip
    found: list[Row] = [("Contents", " · ".join(told))]
    found += _table("PRs", [_pull(item) for item in listing(contents, "pulls")], PULLS - crowd)
    found += _table(
        "Tickets", [_ticket(item) for item in listing(facts.get("tickets", {}), "tickets")], TICKETS - crowd
    )
    found += _areas(listing(contents, "areas"), AREAS - crowd)
    found += _warnings(contents, facts)
    waiting = [_open(item) for item in listing(facts.get("waiting-pulls", {}), "pulls")]
    found += _table("Not in it", waiting, OPEN)
    return [*found, ("Compliance", " · ".join(_boxes(state, contents, facts)))]


def _table(label: str, lines: list[tuple[bool, str]], most: int) -> list[Row]:
    """Rows of a table, those with something wrong first; what is left out is counted."""
    most = max(1, most)
    if not lines:
        return []
    ordered = [text for _, text in sorted(lines, key=lambda row: row[0])]
    shown = ordered if len(ordered) <= most + 1 else ordered[:most]
    more = [f"… and {len(ordered) - len(shown)} more"] if len(shown) < len(ordered) else []
    return [(label, *shown, *more)]


def _pull(item: Facts) -> tuple[bool, str]:
    """Whether nothing is wrong with a pull request, and its row."""
    reviewed = "approved" if item.get("reviewed") is True else "NOT APPROVED"
    archive = "archived" if item.get("archive") else "NO ARCHIVE"
    name = f"#{item.get('number')}"
    row = f"{name:<5}{_cut(str(item.get('title')), 26):<27}{_cut(str(item.get('author')), 9):<10}{reviewed}, {archive}"
    return item.get("reviewed") is True and bool(item.get("archive")), row


def _ticket(item: Facts) -> tuple[bool, str]:
    key = safe(str(item.get("key")), 12)
    if item.get("found") is not True:
        return False, f"{key:<10}NOT FOUND"
    return True, f"{key:<10}{_cut(str(item.get('title')), 38):<39}{_cut(str(item.get('status')), 12)}"


def _open(item: Facts) -> tuple[bool, str]:
    return True, f"#{item.get('number')} {_cut(str(item.get('title')), 36)} ({_cut(str(item.get('author')), 12)})"


def _areas(areas: list[Facts], most: int) -> list[Row]:
    told = [f"{safe(str(item.get('area')), 24)} {number(item, 'files')} (+{number(item, 'insertions')} "
            f"−{number(item, 'deletions')})" for item in areas]  # fmt: skip
    if len(told) > max(1, most):
        told = [*told[: max(1, most)], f"and {len(told) - max(1, most)} more"]
    return [("Areas", " · ".join(told))] if told else []


def warnings(facts: dict[str, Facts]) -> list[str]:
    """What stays in the record as a warning: tickets not found, archives missing, commits without a pull request."""
    contents = facts.get("contents", {})
    missing = facts.get("tickets", {}).get("missing")
    keys = [safe(str(key), 20) for key in missing] if isinstance(missing, list) else []
    archives, unreviewed = contents.get("missing_archives"), contents.get("unreviewed")
    pulls = [f"#{item}" for item in archives] if isinstance(archives, list) else []
    alone = [f"#{item}" for item in unreviewed] if isinstance(unreviewed, list) else []
    commits = [short(str(item.get("sha"))) for item in listing(contents, "unlinked")]
    own = [short(str(item.get("sha"))) for item in listing(contents, "own")]
    told = [
        f"ticket not found: {_some(keys)}" if keys else "", f"no archive: {_some(pulls)}" if pulls else "",
        f"not approved as merged: {_some(alone)}" if alone else "",
        f"commit without a PR: {_some(commits)}" if commits else "",
        f"vouched for by an earlier run's record alone: {_some(own)}" if own else "",
    ]  # fmt: skip
    return [text for text in told if text]


def _some(items: list[str], most: int = 6) -> str:
    """The first of a list, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _warnings(contents: Facts, facts: dict[str, Facts]) -> list[Row]:
    told = warnings({**facts, "contents": contents})
    return [("WARNING", *told)] if told else []


def _boxes(state: RunState, contents: Facts, facts: dict[str, Facts]) -> list[str]:
    """The compliance boxes: each is ticked by evidence, or says what it lacks."""
    ci = any(gate == "ci-green" and judged.passed for (_, gate), judged in state.judged.items())
    pulls = listing(contents, "pulls")
    archived = sum(1 for item in pulls if item.get("archive"))
    tickets = listing(facts.get("tickets", {}), "tickets")
    found = sum(1 for item in tickets if item.get("found") is True)
    unlinked = len(listing(contents, "unlinked"))
    there = {str(item.get("key")) for item in tickets if item.get("found") is True}
    without = sum(1 for item in pulls if not there & set(_texts(item.get("tickets"))))
    reviewed = sum(1 for item in pulls if item.get("reviewed") is True)
    told = [
        (ci, "CI green" if ci else "CI not green"),
        (reviewed == len(pulls), f"approved {reviewed}/{len(pulls)}"),
        (archived == len(pulls), f"archives {archived}/{len(pulls)}"),
        ("tickets" in facts and found == len(tickets), f"tickets {found}/{len(tickets)}"),
        (not unlinked, "every commit by a PR" if not unlinked else f"{count(unlinked, 'commit')} without a PR"),
        (not without, "every PR with a ticket" if not without else f"{count(without, 'PR')} without a ticket"),
    ]
    return [f"{'✔' if good else '✘'} {text}" for good, text in told]


def _texts(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _cut(text: str, width: int) -> str:
    clean = safe(text, width)
    return clean if len(clean) <= width else clean[: width - 1] + "…"


def summary(state: RunState, width: int) -> list[Line]:
    """The whole summary, where there is room for it: a dry run's (AUD-14)."""
    label, lines = 14, [BLANK, line(" ", (headline(state, state.facts()), Tone.STRONG)), BLANK]
    for name, *texts in rows(state, state.facts(), -ROOMY):
        parts = [part for text in texts for part in wrap(text, min(width, 100) - label - 2)]
        first = (" ", (f"{name:<{label}}", Tone.WAIT if name == "WARNING" else Tone.DIM), parts[0])
        lines += [line(*first), *(line(" " * (label + 1), part) for part in parts[1:])]
    return lines


_TOUCHES = {
    "ci": "what CI runs", "policy": "policy, workflows or agents", "prompts": "prompts", "lock_files": "lock files",
    "destructive_sql": "DATA: a migration destroys some",
}  # fmt: skip


def risk(facts: dict[str, Facts]) -> str:
    """What the range touches that asks for a closer look."""
    if "touched" not in facts:
        return "nobody looked what the range touches"
    touched = facts["touched"]
    told = [text for name, text in _TOUCHES.items() if touched.get(name)]
    return f"touches {', '.join(told)}" if told else "touches no CI, policy, prompt, lock file or data"


def links(state: RunState, facts: dict[str, Facts]) -> list[tuple[str, str]]:
    """The final report's lines: what moved, its deployment, records and tickets."""

    def fact(step: str, name: str) -> str:
        return safe(str(facts.get(step, {}).get(name) or ""), 200)

    contents = facts.get("contents", {}).get("counts")
    counted = contents if isinstance(contents, dict) else {}
    commented = facts.get("comment", {}).get("commented")
    tickets = _some([safe(str(key), 20) for key in commented], 12) if isinstance(commented, list) else ""
    told = [
        ("Moved", f"{fact('promotion', 'base')}  {short(state.started.from_sha)} → {short(state.started.to_sha)}"),
        ("Contents", " · ".join((count(number(counted, "commits"), "commit"), count(number(counted, "pulls"), "PR"),
                                 count(number(counted, "tickets"), "ticket")))),
        ("Deployment", fact("deployment", "url")),
        ("On record", fact("outcome", "path") or fact("failure-outcome", "path") or fact("intent", "path")),
        ("Tickets", f"commented: {tickets}" if tickets else ""),
        ("Warnings", "; ".join(warnings(facts))),
    ]  # fmt: skip
    return [(label, text) for label, text in told if text]
