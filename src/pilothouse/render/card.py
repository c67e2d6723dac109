"""The checkpoint card, rendered by code from the plan and the evidence: what is approved is what is shown (APR-5).

No template and no model has a hand in it: a template that a project overlays could leave something out.
"""

from __future__ import annotations

import re

from pilothouse.canonical import Json
from pilothouse.guard.state import MAIN, RunState
from pilothouse.render.acts import listing, migrations_line, number, sentence
from pilothouse.render.text import count, duration, safe, short, wrap
from pilothouse.settings import Product

WIDTH = 76
LABEL = 14
MANY = 14  # findings on the card; what is left out is counted
NOTES = 9  # lines of the notes
BREAKING = 5  # breaking changes
ENVIRONMENTS = ("staging", "production")


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
    for label, *texts in _rows(state, facts, product, basis):
        lines += _row(label, *texts)
    lines += _notes(state, facts)
    lines += ["", "Approving does this, and nothing else:"]
    lines += _acts(basis, MAIN)
    contingent = sorted({str(a["branch"]) for a in listing(basis, "acts")} - {MAIN})
    for branch in contingent:
        lines += [f"And only if it goes wrong ({branch}):", *_acts(basis, branch)]
    whole = f"   notes: pilothouse status {state.run} --notes" if "notes" in facts else ""
    lines += ["", f"plan {short(str(basis['plan']))}{whole}"]
    return "\n".join(lines) + "\n"


def _headline(state: RunState, facts: dict[str, dict[str, Json]], product: Product) -> str:
    version = facts.get("version", {}).get("version") or state.started.inputs.get("to_version") or "?"
    commit = str(facts.get("branch", {}).get("sha") or state.started.to_sha)
    staging = product.environments.get("staging")
    where = f"   staging {staging.url}" if staging and "staging-deploy" in facts else ""
    return f"{product.name} {state.started.from_version} → {version}   {short(commit)}{where}"


def _rows(
    state: RunState, facts: dict[str, dict[str, Json]], product: Product, basis: dict[str, Json]
) -> list[tuple[str, ...]]:
    contents = facts.get("contents", {})
    rows: list[tuple[str, ...]] = []
    if state.started.workflow == "rollback":
        inputs = state.started.inputs
        rows.append(("Why", f"severity {inputs.get('severity')}: {safe(str(inputs.get('reason')), 300)}"))
    if "notes" in facts:
        rows.append(("For users", safe(str(facts["notes"].get("headline", "")), 300)))
    if contents:
        rows.append(("Changes", _changes(contents)))
        rows += _breaking(listing(contents, "breaking"))
    rows.append(("Checked", *_packed(_checked(state, basis))))
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
        return "the database goes back to the release's backup; what was written since is lost"
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


def _breaking(entries: list[dict[str, Json]]) -> list[tuple[str, str]]:
    """What breaks, one row each, with its migration path: the approver reads what users will have to do."""
    rows = []
    for entry in entries[:BREAKING]:
        path = safe(str(entry.get("migration") or ""), 200)
        way = f"migration: {path}" if path else "no migration path is described"
        rows.append(("BREAKING", f"{safe(str(entry.get('summary')), 80)}; {way}"))
    if len(entries) > BREAKING:
        rows.append(("", f"and {count(len(entries) - BREAKING, 'more breaking change')}, in the notes"))
    return rows


def _notes(state: RunState, facts: dict[str, dict[str, Json]]) -> list[str]:
    """The first lines of the release notes; what is left out is counted, and where it stands is said (REL-8)."""
    text = str(facts.get("notes", {}).get("text") or "")
    # Title, date and headline stand on the card already; a person's own notes may have neither, and begin at once.
    raw = [line for line in text.split("\n") if line.strip()]
    first = next((number for number, line in enumerate(raw) if line.startswith("## ")), 0)
    entries = [_plain(line) for line in raw[first:]]
    if not entries:
        return []
    shown = [part for line in entries[:NOTES] for part in _row("", safe(line, 110))]
    lines = [f"{'Notes':<{LABEL}}{shown[0].strip()}", *shown[1:]]
    left = len(entries) - NOTES
    if left > 0:
        more = f"… {count(left, 'more line')}: pilothouse status {state.run} --notes"
        lines.append(" " * LABEL + more)
    if facts["notes"].get("source") == "file":
        lines.append(" " * LABEL + f"written by a person: {safe(str(facts['notes'].get('file')), 60)}")
    return ["", *lines]


def _plain(line: str) -> str:
    """A line of Markdown without its marks, which a card does not draw."""
    bare = re.sub(r"^#+ +(.*)$", r"\1:", line.rstrip())
    return re.sub(r"\\([^\w\s])", r"\1", bare.replace("**", ""))


def _checked(state: RunState, basis: dict[str, Json]) -> list[str]:
    evidence = basis.get("evidence")
    if not isinstance(evidence, dict):
        return ["nothing"]
    places: dict[str, list[str]] = {}
    for name, message in evidence.items():
        text = safe(str(message), 80)
        if text != "does not apply":
            where = places.setdefault(text, [])
            where += [place for place in _places(state, name) if place not in where]
    told = [f"{text} ({', '.join(sorted(where, reverse=True))})" if where else text for text, where in places.items()]
    return told if len(told) <= MANY else [*told[:MANY], f"and {len(told) - MANY} more"]


def _places(state: RunState, name: str) -> list[str]:
    """The environment that a judgement speaks of, by the names of its gate and of the step it judged."""
    step, _, gate = name.partition("/")
    judged = state.judged.get((step, gate))
    cited = judged.evidence if judged else ()
    seen = [state.evidence_by_id[item].step for item in cited if item in state.evidence_by_id]
    words = {word for text in (gate, *seen) for word in text.split("-")}
    return [place for place in ENVIRONMENTS if place in words]


def _undo(state: RunState, facts: dict[str, dict[str, Json]], product: Product) -> str:
    if state.started.workflow == "rollback":
        return "a rollback is never rolled back: to go forward again, ship a mended version"
    live = facts.get("live", {})
    back = f"deploy {safe(str(live.get('version', '?')), 40)}"
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


def _packed(pieces: list[str]) -> list[str]:
    """Pieces with dots between them, and line ends where the next would not fit whole."""
    lines = [""]
    for piece in pieces:
        longer = f"{lines[-1]} · {piece}" if lines[-1] else piece
        if len(longer) <= WIDTH - LABEL - 2 or not lines[-1]:
            lines[-1] = longer
        else:
            lines[-1] += " ·"
            lines.append(piece)
    return lines


def _row(label: str, *texts: str) -> list[str]:
    parts = [part for text in texts for part in wrap(safe(text, 900), WIDTH - LABEL)]
    return [f"{label:<{LABEL}}{parts[0]}", *(" " * LABEL + part for part in parts[1:])]
