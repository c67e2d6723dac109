"""How a run ended, in calm words: the ship report, a rollback, a refusal, a halt (REL-13, FACE-2)."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.canonical import Json
from pilothouse.guard.state import RunState
from pilothouse.render import promotion
from pilothouse.render.advice import advice_text, resting_advice
from pilothouse.render.costs import by_agent, cost_pieces
from pilothouse.render.course import (
    Times,
    deployed_to,
    open_checkpoint,
    outline,
    state_name,
    versions,
)
from pilothouse.render.drawing import boxed, fitted
from pilothouse.render.rows import MIDDLE, Mark
from pilothouse.render.screen import BLANK, Line, Tone, columns, line
from pilothouse.render.text import duration, safe, short, wrap
from pilothouse.render.timeline import total_seconds

LABEL = 12

# A checklist is ticked by evidence: each tick names the step whose result it rests on, and the run's own evidence id.
CHECKLISTS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Pre-release", (
        ("CI green", "ci"), ("contents", "contents"), ("tickets", "tickets"), ("PRs merged", "open-pulls"),
        ("no blocking bugs", "blockers"), ("e2e", "e2e"),
        ("smoke", "smoke"), ("performance", "performance"), ("changelog", "changelog"), ("notes", "notes"),
        ("branch", "branch"),
    )),
    ("Staging", (
        ("migrated", "staging-expand"), ("deployed", "staging-deploy"), ("contracted", "staging-contract"),
        ("healthy", "staging-health"), ("smoke", "staging-smoke"), ("logs clean", "staging-logs"),
        ("no drift", "drift"),
    )),
    ("Production", (
        ("intent on record", "intent"), ("promoted", "promote"), ("deployment found", "deployment"),
        ("backed up", "backup"), ("migrated", "production-expand"), ("deployed", "production-deploy"),
        ("contracted", "production-contract"), ("healthy", "production-health"), ("smoke", "production-smoke"),
        ("watched", "watch"), ("merged", "merge"), ("tagged", "tag"), ("published", "publish"),
        ("tidied", "cleanup"), ("tickets told", "comment"), ("outcome on record", "outcome"),
    )),
)  # fmt: skip


def checklists(state: RunState) -> list[tuple[str, list[tuple[str, str]]]]:
    """The three checklists: title, and each tick with the id of its evidence. What did not happen has no tick."""
    there = {entry.id for entry in outline(state)}
    told = []
    for title, ticks in CHECKLISTS:
        made = [(text, evidence) for text, step in ticks if step in there and (evidence := _evidence(step, state))]
        if made:
            told.append((title, made))
    return told


def _evidence(step: str, state: RunState) -> str:
    act = state.acts.get(step)
    if act is not None:
        return act.done.evidence if act.done else ""
    watch = state.watches.get(step)
    if watch is not None:
        return watch.last.evidence if watch.last and watch.closed and watch.closed.outcome == "healthy" else ""
    seen = state.evidence.get(step)
    return seen.id if seen else ""


def ending(state: RunState, times: Times, width: int) -> list[Line]:
    """What is said when following a run ends: the report, the card that waits, or why it rests and what to do."""
    told = _ended(state, times, width)
    advice = _advice(state, width)
    return [*told, *([BLANK] if advice and not told else []), *advice]


def _ended(state: RunState, times: Times, width: int) -> list[Line]:
    match state_name(state):
        case "done":
            told = ship_report(state, times, width) if state.started.workflow != "rollback" else _back(state, width)
            return [*told, *_models(times, width)]
        case "waiting" if open_checkpoint(state):
            return card(state, width)
        case "failed":
            return [*_failed(state, width), *_models(times, width)]
        case "rolled-back":
            return [*_back(state, width), *_models(times, width)]
        case "refused":
            return _said(_now(state), width, Tone.PLAIN)
        case "halted":
            return _halted(state, width)
        case "aborted":
            return _aborted(state, width)
        case _:
            return []


def _advice(state: RunState, width: int) -> list[Line]:
    said = resting_advice(state)
    return _wrapped("Advice", advice_text(said, state.run), width) if said else []


def _models(times: Times, width: int) -> list[Line]:
    """What agents on models used up; nothing where all were scripted."""
    pieces = cost_pieces(by_agent(times.said))
    return _wrapped("Models", MIDDLE.join(pieces), width) if pieces else []


def card(state: RunState, width: int) -> list[Line]:
    """The card of the open checkpoint (or the last one shown), in its frame, and how to answer."""
    name = open_checkpoint(state) or next(reversed(state.checkpoints), "")
    known = state.checkpoints.get(name)
    shown = (known.opened or known.shown) if known else None
    if shown is None:
        return []
    title = next((entry.phase_title for entry in outline(state) if entry.id == name), name)
    lines = [BLANK, *boxed(title, shown.card, min(width, 80))]
    if open_checkpoint(state):
        reject = f"pilothouse reject {state.run} --reason '…'"
        lines += _pairs([("Approve", f"pilothouse approve {state.run}"), ("Reject", reject)])
    return lines


def ship_report(state: RunState, times: Times, width: int) -> list[Line]:
    """What is live, where, under which tag, how it did, each tick with its evidence, and the way back."""
    before, after = versions(state)
    facts = state.facts()
    product = state.started.product
    took = duration(total_seconds(state, times))
    released = deployed_to(state, "production")
    released = released or "promote" in facts
    live = (
        f"{product} {after or short(state.started.to_sha)} is live" if released else _short_of_production(state, after)
    )
    was = (f"was {before or 'nothing'}",) if released else ()
    origin = fitted((*was, f"{took} from start to end", f"run {state.run}"), width - len(live) - 6)
    head = line(" ", (str(Mark.DONE), Tone.GOOD), " ", (live, Tone.STRONG), ("   " + MIDDLE.join(origin), Tone.DIM))
    lines = [BLANK, head, BLANK]
    promoted = promotion.is_promotion(state)
    lines += _pairs(promotion.links(state, facts) if promoted else _links(state, facts), width)
    for title, ticks in checklists(state):
        lines += _ticks(title, ticks, width)
    if state.exceptions:
        lines += _wrapped("Exceptions", "; ".join(safe(text) for text in state.exceptions), width)
    back = (
        f"pilothouse rollback {product} --severity high --reason '…'"
        if promoted
        else f"pilothouse rollback {product} --to {before} --severity high --reason '…'"
        if before
        else "nothing to go back to"
    )
    undo = [("Undo", back)] if released else []
    lines += _pairs([*undo, ("Record", f"pilothouse audit verify   pilothouse audit show {state.run}")], width)
    return lines


def _links(state: RunState, facts: dict[str, dict[str, Json]]) -> list[tuple[str, str]]:
    def fact(step: str, name: str) -> str:
        return safe(str(facts.get(step, {}).get(name) or ""), 200)

    target = state.started.targets.get("production")
    configured = str(target.get("url", "")) if isinstance(target, dict) else ""
    sha = fact("branch", "sha") or state.started.to_sha
    watch = next((item for item in state.watches.values() if item.closed), None)
    live = deployed_to(state, "production")
    tag = fact("tag", "tag")
    told = [
        ("Live at", fact("production-deploy", "url") or configured if live else ""),
        ("Production", "" if live else _now(state)),
        ("Release", fact("publish", "url")),
        ("Tag" if live or tag else "Commit", MIDDLE.join(filter(None, (tag, short(sha))))),
        ("Notes", f"pilothouse status {state.run} --notes" if "notes" in facts else ""),
        ("Watch", f"{watch.closed.outcome}: {safe(watch.closed.message, 160)}" if watch and watch.closed else ""),
    ]
    return [(label, text) for label, text in told if text]


def _short_of_production(state: RunState, version: str) -> str:
    """What a workflow that never deploys to production has come to."""
    what = f"{state.started.product} {version}".rstrip()
    if deployed_to(state, "staging"):
        return f"{what} is on staging"
    return f"{what}: {state.started.workflow} is done"


def _ticks(title: str, ticks: Iterable[tuple[str, str]], width: int) -> list[Line]:
    pieces = [f"{Mark.DONE} {text} {evidence}" for text, evidence in ticks]
    rows: list[Line] = []
    label = title
    while pieces:
        shown = fitted(pieces, width - LABEL - 2) or pieces[:1]
        pieces = pieces[len(shown) :]
        spans = [span for piece in shown for span in _tick(piece, first=piece is shown[0])]
        rows.append(line(" ", (f"{label:<{LABEL}}", Tone.DIM), *spans))
        label = ""
    return rows


def _tick(piece: str, *, first: bool) -> list[tuple[str, Tone]]:
    sign, rest = piece[0], piece[1:]
    text, _, evidence = rest.rpartition(" ")
    dots = [] if first else [(MIDDLE, Tone.DIM)]
    return [*dots, (sign, Tone.GOOD), (text, Tone.PLAIN), (f" {evidence}", Tone.DIM)]


def _back(state: RunState, width: int) -> list[Line]:
    """A rollback: why, what the world is like now, what to do next."""
    facts = state.facts()
    before, after = versions(state)
    alone = state.started.workflow == "rollback"
    good, bad = (after, before) if alone else (before, after)
    why = str(state.started.inputs.get("reason", "")) if alone else (state.branched.message if state.branched else "")
    severity = (
        str(state.started.inputs.get("severity", "")) if alone else (state.branched.severity if state.branched else "")
    )
    deployed = any(step in facts for step in ("rollback-deploy", "redeploy", "promote"))
    restored = any(step in facts for step in ("rollback-restore", "restore"))
    world = f"Production runs {good} again" if deployed else f"Production never left {good}"
    world += "; its database was restored from the release's backup." if restored else "; its database is as it was."
    lines = [BLANK, line(" ", (str(Mark.BACK), Tone.BACK), " ",
                         (f"{state.started.product} is back on {safe(good, 40)}", Tone.STRONG)), BLANK]  # fmt: skip
    lines += _wrapped("Why", f"{bad}: {safe(why, 300)}" + (f" (severity {severity})" if severity else ""), width)
    lines += _wrapped("Now", world, width)
    issue = str(facts.get("issue", {}).get("url") or "")
    if issue:
        lines += _wrapped("Issue", f"{safe(issue, 160)} (with the post-mortem draft)", width)
    reverted = str(facts.get("revert", {}).get("sha") or "")
    path = str(facts.get("outcome", {}).get("path") or "")
    again = f"deal with the cause, then: pilothouse ship {state.started.product}"
    if reverted:
        again = f"what was taken back comes again by a revert of {short(reverted)} on the promoted branch, with the fix"
    told = [("On record", safe(path, 120))] if path else []
    return [*lines, *_pairs([*told, ("Next", again), ("Record", f"pilothouse audit show {state.run}")], width)]


def _failed(state: RunState, width: int) -> list[Line]:
    """A promotion whose deployment failed: what happened, what is so now, what to do next."""
    branched, product = state.branched, state.started.product
    why = safe(branched.message, 300) if branched else ""
    severity = f" (severity {branched.severity})" if branched else ""
    back = f"pilothouse rollback {product} --severity high --reason '…'"
    lines = [BLANK, line(" ", (str(Mark.FAILED), Tone.BAD), " ", (f"{product} did not get there", Tone.STRONG)), BLANK]
    lines += _wrapped("Why", why + severity, width)
    lines += _pairs(promotion.links(state, state.facts()), width)
    return [
        *lines,
        *_pairs(
            [("Undo", back), ("Next", f"or merge a fix into the promoted branch, then: pilothouse ship {product}")],
            width,
        ),
    ]


def _halted(state: RunState, width: int) -> list[Line]:
    doing = f"What became of {state.open_act} is not known. " if state.open_act else ""
    return _said(f"{doing}{_now(state)} Nothing more moves until a person has looked.", width, Tone.PLAIN)


def _aborted(state: RunState, width: int) -> list[Line]:
    product = state.started.product
    left = "" if "branch" not in state.facts() else " The release branch stays."
    text = f"The run is over for good. {_now(state)}{left} Start anew with: pilothouse ship {product}"
    return _said(text, width, Tone.PLAIN)


def _now(state: RunState) -> str:
    """What production is like now, in one sentence, as far as the ledger knows."""
    if not state.production_attempted():
        return "Nothing was changed in production."
    facts = state.facts()
    for step in ("rollback-deploy", "redeploy", "production-deploy"):
        if step in facts:
            return f"Production runs {safe(str(facts[step].get('version')), 40)}."
    return "Production was touched; look at it before going on."


def _said(text: str, width: int, tone: Tone) -> list[Line]:
    return [BLANK, *(line(" ", (part, tone)) for part in wrap(text, width - 2))]


def _pairs(pairs: Iterable[tuple[str, str]], width: int = 120) -> list[Line]:
    lines: list[Line] = []
    for label, text in pairs:
        if columns(text) <= width - LABEL - 1:
            lines.append(line(" ", (f"{label:<{LABEL}}", Tone.DIM), text))
        else:
            lines += _wrapped(label, text, width)
    return lines


def _wrapped(label: str, text: str, width: int) -> list[Line]:
    parts = wrap(text, width - LABEL - 1)
    first = line(" ", (f"{label:<{LABEL}}", Tone.DIM), parts[0])
    return [first, *(line(" " * (LABEL + 1), part) for part in parts[1:])]
