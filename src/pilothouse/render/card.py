"""The checkpoint card, rendered by code from the plan and the evidence: what is approved is what is shown (APR-5).

No template and no model has a hand in it: a template that a project overlays could leave something out.
"""

from __future__ import annotations

import re

from pilothouse.canonical import Json
from pilothouse.guard.clearance import SIGNATURE, clearance_of
from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import RECORD, Kind
from pilothouse.render import promotion
from pilothouse.render.acts import listing, migrations_line, number, sentence
from pilothouse.render.text import count, duration, safe, short, wrap
from pilothouse.settings import Product

WIDTH = 76
LABEL = 14
HEIGHT = 34  # lines: with frame and prompt the card is one screen of 80 × 40, and the question stays in sight
CHECKED = 4  # lines of findings, fewer where the card is crowded; what is left out is counted
NOTES = 9  # lines of the notes, at most; they give way to everything else
BREAKING = 3  # breaking changes
PEOPLE = 4  # approvers named a requirement
EXCEPTIONS = 6  # the latest, then overrides, then the others from the latest back
NOT_VERIFIED = 5
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
        lines += _row("CHANGED", "since the last card; every earlier approval is void:")
        lines += [part for line in changes for part in _row("", f"→ {line}")] + [""]
    ending = ["", "Approving does this, and nothing else:", *_acts(basis, MAIN)]
    # A branch that writes a record and nothing else is no way for things to go wrong.
    contingent = sorted({str(a["branch"]) for a in listing(basis, "acts") if a.get("tool") != RECORD} - {MAIN})
    for branch in contingent:
        ending += [f"And only if it goes wrong ({branch}):", *_acts(basis, branch)]
    ending += ["", f"plan {short(str(basis['plan']))}"]
    counted = 2 if facts.get("notes", {}).get("text") else 0  # the line at least that counts those of the notes
    for checked, crowd in _tighter(promoted=promotion.is_promotion(state)):
        told = _rows(state, facts, product, basis, checked, crowd)
        rows = [line for label, *texts in told for line in _row(label, *texts)]
        if len(lines) + len(rows) + len(ending) + counted <= HEIGHT:
            break
    lines += rows
    return "\n".join([*lines, *_notes(state, facts, HEIGHT - len(lines) - len(ending)), *ending]) + "\n"


def _tighter(*, promoted: bool) -> list[tuple[int, int]]:
    """How many lines of findings, and how many rows less in a promotion's tables: from roomy to tight."""
    if promoted:
        return [(2, 0), (1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]
    return [(checked, 0) for checked in range(CHECKED, 0, -1)]


def _headline(state: RunState, facts: dict[str, dict[str, Json]], product: Product) -> str:
    if promotion.is_promotion(state):
        return promotion.headline(state, facts)
    version = facts.get("version", {}).get("version") or state.started.inputs.get("to_version") or "?"
    commit = str(facts.get("branch", {}).get("sha") or state.started.to_sha)
    staging = product.environments.get("staging")
    where = f"   staging {staging.url}" if staging and "staging-deploy" in facts else ""
    return f"{product.name} {state.started.from_version} → {version}   {short(commit)}{where}"


def _rows(
    state: RunState,
    facts: dict[str, dict[str, Json]],
    product: Product,
    basis: dict[str, Json],
    checked: int,
    crowd: int,
) -> list[tuple[str, ...]]:
    contents = facts.get("contents", {})
    rows: list[tuple[str, ...]] = []
    if state.started.workflow == "rollback":
        inputs = state.started.inputs
        rows.append(("Why", f"severity {inputs.get('severity')}: {safe(str(inputs.get('reason')), 300)}"))
    if "notes" in facts:
        rows.append(("For users", safe(str(facts["notes"].get("headline", "")), 300)))
    if promotion.is_promotion(state):
        rows += promotion.rows(state, facts, crowd)
    elif contents:
        rows.append(("Changes", _changes(contents) + _unlisted(state, facts)))
        rows += _breaking(listing(contents, "breaking"))
    rows.append(("Checked", *_packed(_checked(state, basis, checked))))
    rows.append(("Risk", _risk(state, facts)))
    rows.append(("At worst", _worst(state, facts, product)))
    rows.append(("Undo", _undo(state, facts, product)))
    if state.started.workflow != "rollback" and _watches(state):
        rows.append(("Watch", _watch(product) if product.watch else "NONE: no watch is configured"))
    open_ends = [safe(item, 120) for item in product.not_verified]
    rows.append(("Not verified", *_packed(_counted(open_ends, min(NOT_VERIFIED, len(open_ends))) or ["nothing named"])))
    rows.append(("Exceptions", *_exceptions(state)))
    rows += _needs(basis)
    return rows


def _watches(state: RunState) -> bool:
    """Whether the workflow has a watch at all."""
    return any(row["kind"] == Kind.WATCH for row in state.started.outline)


def _exceptions(state: RunState) -> list[str]:
    """What was allowed against the rule. What is left out is counted; the latest stays, and overrides before others."""
    latest = state.exceptions[::-1]
    overrides = tuple(f"{item.name} overridden by {item.who}" for item, _ in state.overridden)
    ordered = latest[:1] + sorted(latest[1:], key=lambda text: not text.startswith(overrides))
    told = [safe(text) for text in ordered]
    if len(told) <= EXCEPTIONS:
        return _packed(told or ["none"])
    return _packed([*told[:EXCEPTIONS], f"and {len(told) - EXCEPTIONS} more: pilothouse status {state.run} --json"])


def _needs(basis: dict[str, Json]) -> list[tuple[str, str]]:
    """Whose approval is needed, one row a requirement: what a range touches is named here (I11, I21)."""
    cleared = clearance_of(basis)
    if cleared is None or not cleared.approvers:
        return [("Needs", "NOBODY may approve: no approver is configured on the base branch")]
    rows = []
    for item in cleared.requires:
        people = [safe(known.id, 60) for known in cleared.approvers if item.group in known.groups]
        more = f" and {len(people) - PEOPLE} more" if len(people) > PEOPLE else ""
        why = "" if item.why == basis.get("checkpoint") else f": {safe(item.why, 300)}"
        rows.append(f"{item.number} of {safe(item.group)} ({', '.join(people[:PEOPLE]) or 'nobody'}{more}){why}")
    if cleared.four_eyes == "require":
        rows.append(f"not {safe(cleared.starter)}, who started the run")
    if cleared.authentications == (SIGNATURE,):
        rows.append("each by an SSH signature; a typed word does not count")
    return [("Needs" if not number else "", text) for number, text in enumerate(rows)]


def _risk(state: RunState, facts: dict[str, dict[str, Json]]) -> str:
    if promotion.is_promotion(state):
        return promotion.risk(facts)
    if state.started.workflow != "rollback":
        return migrations_line(facts.get("production-migrations", {}))
    if state.started.inputs.get("backup"):
        return "the database goes back to the release's backup; what was written since is lost"
    stays = "the database stays as it is, with its migrations applied"
    return stays if promotion.reverts(state) else f"{stays}; --restore takes it back, too"


def _worst(state: RunState, facts: dict[str, dict[str, Json]], product: Product) -> str:
    """The worst credible outcome, by what is to be migrated and by how it would be undone."""
    back = f"about {count(product.rollback.minutes, 'minute')}"
    if state.started.workflow == "rollback":
        return "it fails and production stays as broken as it is; then a person must look"
    pending = listing(facts.get("production-migrations", {}), "pending")
    ways = {str(item.get("undo")) for item in pending}
    destroys = _listing(facts.get("touched", {}), "destructive_sql")
    if destroys or any(item.get("destructive") is True for item in pending):
        return "data is destroyed; what was written since the backup is lost with the restore"
    if "forward-only" in ways:
        return "it cannot be taken back: a migration goes forward only, and must be mended in place"
    if "restore" in ways:
        return f"errors for {back}, and what users wrote since the backup is lost"
    return f"errors until {safe(state.started.from_version, 40)} is back, {back}; no data is lost"


def _listing(facts: dict[str, Json], name: str) -> list[Json]:
    """A list fact's items, whatever they are."""
    value = facts.get(name)
    return value if isinstance(value, list) else []


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


def _unlisted(state: RunState, facts: dict[str, dict[str, Json]]) -> str:
    """What leaves besides the listed range: a tag is no proof that its version runs in production."""
    live, tagged = facts.get("live", {}).get("version"), state.started.from_version
    if not live or live == tagged or state.started.workflow == "rollback":
        return ""
    return f" · since {tagged}; production runs {safe(str(live), 40)}, and what lies between leaves, too"


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


def _notes(state: RunState, facts: dict[str, dict[str, Json]], room: int) -> list[str]:
    """The first lines of the release notes; what is left out is counted, and where it stands is said (REL-8).

    Args:
        room: lines of the card that are left for them, the empty one before included.
    """
    text = str(facts.get("notes", {}).get("text") or "")
    # Title, date and headline stand on the card already; a person's own notes may have neither, and begin at once.
    raw = [line for line in text.split("\n") if line.strip()]
    first = next((number for number, line in enumerate(raw) if line.startswith("## ")), 0)
    entries = [_plain(line) for line in raw[first:]]
    if not entries:
        return []
    person = facts["notes"].get("source") == "file"
    apart = [""] if room > 1 else []  # on a crowded card not even an empty line
    room = min(room, NOTES + 2) - 2 - person  # without the empty line, and the one that counts
    lines: list[str] = []
    left = len(entries)
    for entry in entries:
        parts = _row("", safe(entry, 110))
        if len(lines) + len(parts) > room:
            break
        lines += parts
        left -= 1
    if left:
        lines.append(" " * LABEL + f"… {count(left, 'more line')}: pilothouse status {state.run} --notes")
    lines[0] = f"{'Notes':<{LABEL}}{lines[0].strip()}"
    if person:
        lines.append(" " * LABEL + f"written by a person: {safe(str(facts['notes'].get('file')), 60)}")
    return [*apart, *lines]


def _plain(line: str) -> str:
    """A line of Markdown without its marks, which a card does not draw."""
    bare = re.sub(r"^#+ +(.*)$", r"\1:", line.rstrip())
    return re.sub(r"\\([^\w\s])", r"\1", bare.replace("**", ""))


def _checked(state: RunState, basis: dict[str, Json], most: int) -> list[str]:
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
    shown = len(told)
    while shown and len(_packed(_counted(told, shown))) > most:
        shown -= 1
    return _counted(told, shown)


def _counted(told: list[str], shown: int) -> list[str]:
    return told if shown == len(told) else [*told[:shown], f"and {len(told) - shown} more"]


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
    if promotion.is_promotion(state):
        branch = safe(str(facts["promotion"].get("branch")), 40)
        return f"a revert on {branch}, to which main moves; about {count(product.rollback.minutes, 'minute')}"
    live = facts.get("live", {})
    back = f"deploy {safe(str(live.get('version', '?')), 40)}"
    restore = ", database restored if need be" if "production-migrations" in facts else ""
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
    pieces: list[str] = []
    for act in listing(basis, "acts"):
        if act.get("branch") == branch:
            arguments = act.get("arguments")
            text = sentence(str(act.get("tool")), arguments if isinstance(arguments, dict) else {})
            pieces.append(f"{len(pieces) + 1} {text}")
    return [f"  {part}" for line in _packed(pieces, WIDTH - 2) for part in wrap(line, WIDTH - 2)]


def _packed(pieces: list[str], width: int = WIDTH - LABEL) -> list[str]:
    """Pieces with dots between them, and line ends where the next would not fit whole."""
    lines = [""]
    for piece in pieces:
        longer = f"{lines[-1]} · {piece}" if lines[-1] else piece
        if len(longer) <= width - 2 or not lines[-1]:
            lines[-1] = longer
        else:
            lines[-1] += " ·"
            lines.append(piece)
    return lines


def _row(label: str, *texts: str) -> list[str]:
    parts = [part for text in texts for part in wrap(safe(text, 900), WIDTH - LABEL)]
    return [f"{label:<{LABEL}}{parts[0]}", *(" " * LABEL + part for part in parts[1:])]
