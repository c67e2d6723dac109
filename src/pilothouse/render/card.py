"""The checkpoint card, rendered by code from the plan and the evidence: what is approved is what is shown (APR-5).

No template and no model has a hand in it: a template that a project overlays could leave something out.
"""

from __future__ import annotations

from pilothouse.canonical import Json
from pilothouse.guard.state import MAIN, RunState
from pilothouse.render.acts import listing, migrations_line, number, sentence
from pilothouse.render.text import count, duration, safe, short, wrap
from pilothouse.settings import Product

WIDTH = 76
LABEL = 14
MANY = 12  # lines of a list on the card; what is left out is counted


def render_card(state: RunState, product: Product, basis: dict[str, Json]) -> str:
    """The card's text, at most 76 columns wide.

    Args:
        state: the run, folded.
        product: its configuration (what is not verified, how long undoing takes, the watch).
        basis: what the approval is bound to: acts, pins, judgements, exceptions, and the difference when reopened.
    """
    facts = state.facts()
    lines = [_headline(state, facts, product), ""]
    changes = basis.get("difference")
    if isinstance(changes, list) and changes:
        lines += _row("CHANGED", "since the last card; your earlier approval is void")
        lines += [part for line in changes for part in _row("", str(line))] + [""]
    for label, text in _rows(state, facts, product, basis):
        lines += _row(label, text)
    lines += ["", "Approving does this, and nothing else:"]
    lines += _acts(basis, MAIN)
    contingent = sorted({str(a["branch"]) for a in listing(basis, "acts")} - {MAIN})
    for branch in contingent:
        lines += [f"And only if it goes wrong ({branch}):", *_acts(basis, branch)]
    lines += ["", f"plan {short(str(basis['plan']))}   notes: pilothouse status {state.run} --notes"]
    return "\n".join(lines) + "\n"


def _headline(state: RunState, facts: dict[str, dict[str, Json]], product: Product) -> str:
    version = facts.get("version", {}).get("version") or state.started.inputs.get("to_version") or "?"
    commit = str(facts.get("branch", {}).get("sha") or state.started.to_sha)
    staging = product.environments.get("staging")
    where = f"   staging {staging.url}" if staging and "staging-deploy" in facts else ""
    return f"{product.name} {state.started.from_version} → {version}   {short(commit)}{where}"


def _rows(
    state: RunState, facts: dict[str, dict[str, Json]], product: Product, basis: dict[str, Json]
) -> list[tuple[str, str]]:
    contents, rows = facts.get("contents", {}), []
    if state.started.workflow == "rollback":
        inputs = state.started.inputs
        rows.append(("Why", f"severity {inputs.get('severity')}: {safe(str(inputs.get('reason')), 300)}"))
    if "notes" in facts:
        rows.append(("For users", safe(str(facts["notes"].get("headline", "")), 300)))
    if contents:
        rows.append(("Changes", _changes(contents)))
        breaking = listing(contents, "breaking")
        if breaking:
            rows.append(("BREAKING", "; ".join(safe(str(item.get("summary")), 80) for item in breaking[:5])))
    rows.append(("Checked", _checked(basis)))
    rows.append(("Risk", _risk(state, facts)))
    rows.append(("Undo", _undo(state, facts, product)))
    if state.started.workflow != "rollback":
        rows.append(("Watch", _watch(product) if product.watch else "NONE: no watch is configured"))
    rows.append(("Not verified", safe("; ".join(product.not_verified), 300) or "nothing named"))
    rows.append(("Exceptions", "; ".join(safe(item) for item in state.exceptions) or "none"))
    return rows


def _risk(state: RunState, facts: dict[str, dict[str, Json]]) -> str:
    if state.started.workflow != "rollback":
        return migrations_line(facts.get("production-migrations", {}))
    if state.started.inputs.get("backup"):
        return "the database goes back to the backup of the release; what was written since is lost"
    return "the database stays as it is, with its migrations applied; --restore takes it back, too"


def _changes(contents: dict[str, Json]) -> str:
    pulls, files = contents.get("pulls"), count(number(contents, "files"), "file")
    told = [
        count(len(pulls), "PR") if isinstance(pulls, list) else "",
        count(number(contents, "commits"), "commit"),
        f"{files} (+{number(contents, 'insertions')} −{number(contents, 'deletions')})",
        count(len(listing(contents, "features")), "feature"),
        count(len(listing(contents, "fixes")), "fix", "fixes"),
    ]
    return " · ".join(part for part in told if part)


def _checked(basis: dict[str, Json]) -> str:
    evidence = basis.get("evidence")
    if not isinstance(evidence, dict):
        return "nothing"
    told: list[str] = []
    for message in evidence.values():
        text = safe(str(message), 80)
        if text not in told and text != "does not apply":
            told.append(text)
    more = f" · and {len(told) - MANY} more" if len(told) > MANY else ""
    return " · ".join(told[:MANY]) + more


def _undo(state: RunState, facts: dict[str, dict[str, Json]], product: Product) -> str:
    live = facts.get("live", {})
    back = f"deploy {safe(str(live.get('version', '?')), 40)}"
    if state.started.workflow == "rollback":
        back = f"ship {safe(state.started.from_version, 40)} again"
    restore = "; the database from the backup where a migration ran" if "production-migrations" in facts else ""
    return f"{back}{restore}; about {count(product.rollback.minutes, 'minute')}"


def _watch(product: Product) -> str:
    rule = product.watch
    assert rule is not None

    def limit(rise: int, unit: str, point: str) -> str:
        return f"+{rise} % of the baseline" if unit == "relative" else f"+{rise} {point}"

    short_watch = " (SHORT: allowed by policy)" if rule.window_ms < 15 * 60_000 else ""
    return (
        f"{duration(rule.window_ms / 1000)}{short_watch}; back if the error rate rises by more than "
        f"{limit(rule.error_rate.rise, rule.error_rate.unit, 'points')}, or {rule.latency.quantile} by "
        f"{limit(rule.latency.rise, rule.latency.unit, 'ms')}"
    )


def _acts(basis: dict[str, Json], branch: str) -> list[str]:
    lines: list[str] = []
    index = 0
    for act in listing(basis, "acts"):
        if act.get("branch") != branch:
            continue
        index += 1
        arguments = act.get("arguments")
        text = sentence(str(act.get("tool")), arguments if isinstance(arguments, dict) else {})
        parts = wrap(text, WIDTH - 6)
        lines += [f"  {index:2d} {parts[0]}", *(f"     {part}" for part in parts[1:])]
    return lines


def _row(label: str, text: str) -> list[str]:
    parts = wrap(safe(text, 900), WIDTH - LABEL)
    return [f"{label:<{LABEL}}{parts[0]}", *(" " * LABEL + part for part in parts[1:])]
