"""status, explain, audit, state: looking without touching."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.cli.surface import Surface, history, times_of
from pilothouse.errors import EXIT_DONE, EXIT_HALTED, EXIT_REFUSED, UsageError
from pilothouse.views import detailed_json, schema, status_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pilothouse.app import Pilothouse
    from pilothouse.canonical import Json
    from pilothouse.events import Event
    from pilothouse.guard.state import RunState
    from pilothouse.ledger.sqlite import SqliteJournal
    from pilothouse.render.screen import Line


def status(surface: Surface, run: str, *, notes: bool, card: bool, svg: Path | None) -> int:
    """One run's timeline, or all runs; or one part of a run."""
    app = surface.app()
    if svg is not None:
        return _picture(surface, app, app.find(run), svg)
    if notes or card:
        return _part(surface, app.find(run), notes=notes)
    if surface.json:
        surface.emit(_one_json(app, run) if run else status_json(app.runs()))
        return EXIT_DONE
    runs = app.runs()
    going = [state for state in runs if not state.over]
    if run or len(going) == 1 or (len(runs) == 1):
        _one(surface, app, app.find(run))
    elif not runs:
        app.find("")  # raises: nothing was shipped yet, and how to start
    if not run and len(runs) > 1:
        surface.out().write(_table(runs, surface.out().width))
    return EXIT_DONE


def _one_json(app: Pilothouse, run: str) -> dict[str, Json]:
    state = app.find(run)
    return detailed_json(state, times_of(app, state))


def _one(surface: Surface, app: Pilothouse, state: RunState) -> None:
    from pilothouse.render.course import state_name
    from pilothouse.render.drawing import draw
    from pilothouse.render.live import local_now
    from pilothouse.render.report import ending
    from pilothouse.render.screen import Tone, line
    from pilothouse.render.timeline import timeline

    screen, times, now = surface.out(), times_of(app, state), local_now()
    screen.write(draw(timeline(state, times, now), screen.width, verbose=surface.verbose, spinner="…"))
    screen.write(ending(state, times, screen.width))
    if state_name(state) == "running":
        screen.write([line(), line(" Follow it: ", (f"pilothouse resume {state.run}", Tone.STRONG))])


def _table(runs: Sequence[RunState], width: int) -> Iterator[Line]:
    from pilothouse.render.course import next_action, state_name, versions
    from pilothouse.render.screen import BLANK, Tone, cut, line, padded

    tones = {
        "done": Tone.GOOD, "waiting": Tone.WAIT, "running": Tone.BUSY, "refused": Tone.BAD, "halted": Tone.BAD,
        "rolled-back": Tone.BACK,
    }  # fmt: skip
    yield BLANK
    for state in runs[-20:]:
        before, after = versions(state)
        name = state_name(state)
        what = f"{state.started.product} {before} → {after or '?'}"
        yield line(
            " ", (padded(state.run, 17), Tone.PLAIN), " ", (padded(name, 12), tones.get(name, Tone.DIM)), " ",
            padded(what, 24), " ", (cut(next_action(state), max(10, width - 57)), Tone.DIM),
        )  # fmt: skip


def _part(surface: Surface, state: RunState, *, notes: bool) -> int:
    """The release notes, or the card."""
    from pilothouse.render.report import card as drawn_card
    from pilothouse.render.screen import line
    from pilothouse.render.text import safe

    if notes:
        text = str(state.facts().get("notes", {}).get("text", ""))
        if not text:
            raise UsageError("no-notes", f"{state.run} has written no notes yet", f"see: pilothouse status {state.run}")
        lines = [line(safe(raw, 2000)) for raw in text.rstrip("\n").split("\n")]
        surface.answer(lambda: {"schema": schema("notes"), "run": state.run, "notes": text}, lambda: lines)
        return EXIT_DONE
    known = next((item.shown for item in reversed(state.checkpoints.values()) if item.shown), None)
    if known is None:
        raise UsageError("no-card", f"{state.run} has shown no card yet", f"see: pilothouse status {state.run}")
    surface.answer(
        lambda: {"schema": schema("card"), "run": state.run, "checkpoint": known.checkpoint, "card": known.card},
        lambda: drawn_card(state, surface.out().width),
    )
    return EXIT_DONE


def _picture(surface: Surface, app: Pilothouse, state: RunState, path: Path) -> int:
    from pilothouse.render.live import local_now
    from pilothouse.render.screen import line
    from pilothouse.render.svg import picture

    try:
        path.write_text(picture(state, times_of(app, state), local_now()), encoding="utf-8")
    except OSError as error:
        raise UsageError("not-written", f"{path} cannot be written: {error.strerror}") from error
    surface.answer(
        lambda: {"schema": schema("status"), "run": state.run, "svg": str(path)}, lambda: [line(f" Drawn: {path}")]
    )
    return EXIT_DONE


def explain(surface: Surface, code: str) -> int:
    """What a reason code means, where it comes from, and what to do."""
    from pilothouse.reasons import find
    from pilothouse.render.screen import Tone, line
    from pilothouse.render.text import wrap

    reason = find(code)
    width = surface.out().width - 3

    def lines() -> Iterator[Line]:
        yield line(" ", (reason.code, Tone.STRONG), ("   " + reason.kind, Tone.DIM))
        for text in reason.messages:
            yield from (line("   ", part) for part in wrap(text, width))
        for text in reason.hints:
            yield from (line("   ", (part, Tone.WAIT)) for part in wrap(f"→ {text}", width))

    surface.answer(
        lambda: {
            "schema": schema("explain"), "reason_code": reason.code, "kind": reason.kind,
            "messages": [*reason.messages], "hints": [*reason.hints],
        },
        lines,
    )  # fmt: skip
    return EXIT_DONE


# --- audit ----------------------------------------------------------------------------------------------------------


def audit_show(surface: Surface, run: str) -> int:
    """The events of a run, one a line."""
    from pilothouse.events import fact_to_json

    app = surface.app()
    state = app.find(run)
    events = history(app, state)
    surface.answer(
        lambda: {
            "schema": schema("audit-show"), "run": state.run, "chain": state.started.product,
            "events": [
                {"seq": e.seq, "at": e.at, "kind": e.kind, "hash": e.hash, "prev": e.prev, "fact": fact_to_json(e.fact)}
                for e in events
            ],
        },
        lambda: _event_lines(events, surface.out().width, verbose=surface.verbose),
    )  # fmt: skip
    return EXIT_DONE


def _event_lines(events: Sequence[Event], width: int, *, verbose: bool) -> Iterator[Line]:
    from pilothouse.render.eventlines import told
    from pilothouse.render.screen import Tone, cut, line, padded

    day = ""
    for event in events:
        if event.at[:10] != day:
            day = event.at[:10]
            yield line((f" {day} UTC", Tone.DIM))
        text = told(event)
        room = width - 34
        yield line(
            (f" {event.seq:4d} {event.at[11:19]}", Tone.DIM), " ", padded(event.kind, 17), " ",
            text if verbose else cut(text, room),
        )  # fmt: skip


def audit_verify(surface: Surface, head: str, product: str) -> int:
    """Recompute every hash of the ledger, offline; exit 50 where something does not fit."""
    from pilothouse.ledger.chain import verify
    from pilothouse.ledger.sqlite import SqliteJournal
    from pilothouse.render.screen import Tone, line
    from pilothouse.render.text import count

    path = surface.folder() / ".pilothouse" / "ledger.db"
    if not path.exists():
        raise UsageError("no-ledger", "there is no ledger here yet", "start with: pilothouse ship PRODUCT")
    journal = SqliteJournal(path, read_only=True)
    try:
        chains = [name for name in journal.chains() if product in {"", name}]
        if product and not chains:
            raise UsageError("no-such-chain", f"the ledger holds no chain {product!r}", ", ".join(journal.chains()))
        if head and len(chains) > 1:
            chains = _holding(journal, chains, head)
        found = {name: verify(journal.entries(name), name, head or None) for name in chains}
    finally:
        journal.close()
    sound = all(item.ok for item in found.values())

    def lines() -> Iterator[Line]:
        for name, item in found.items():
            sign = ("✔", Tone.GOOD) if item.ok else ("✘", Tone.BAD)
            grown = (
                f" · grown by {item.entries - item.anchor} since the head you gave" if item.anchor is not None else ""
            )
            yield line(" ", sign, f" {name}: {item.entries} entries, every hash fits" if item.ok else f" {name}: ",
                       "" if item.ok else count(len(item.problems), "problem"), (grown, Tone.DIM))  # fmt: skip
            yield line("   head ", (item.head, Tone.DIM))
            for problem in item.problems[:20]:
                yield line("   ", (f"#{problem.seq} {problem.kind}: {problem.message}", Tone.BAD))

    surface.answer(
        lambda: {
            "schema": schema("audit-verify"), "ok": sound,
            "chains": [
                {
                    "chain": name, "ok": item.ok, "entries": item.entries, "head": item.head, "anchor": item.anchor,
                    "problems": [{"seq": p.seq, "kind": p.kind, "message": p.message} for p in item.problems],
                }
                for name, item in found.items()
            ],
        },
        lines,
    )  # fmt: skip
    return EXIT_DONE if sound else EXIT_HALTED


def _holding(journal: SqliteJournal, chains: list[str], head: str) -> list[str]:
    """The chain that the head belongs to, or all: then each of them says that it lacks it."""
    owners = [name for name in chains if any(row[1] == head for row in journal.entries(name))]
    return owners or chains


# --- state ----------------------------------------------------------------------------------------------------------


def state_show(surface: Surface) -> int:
    """The view of all products, from the ledger."""
    from pilothouse import stateview, yamltext
    from pilothouse.render.screen import line

    view = stateview.view_of(surface.app())
    text = yamltext.block(view, 0).removeprefix("\n")
    surface.answer(lambda: {"schema": schema("state"), **view}, lambda: [line(raw) for raw in text.split("\n")])
    return EXIT_DONE


def state_check(surface: Surface) -> int:
    """state.yml against the ledger; exit 20 where a person edited what Pilothouse renders."""
    from pilothouse import stateview
    from pilothouse.render.screen import Tone, line

    app = surface.app()
    found = stateview.differences(app)

    def lines() -> Iterator[Line]:
        if not found.comparable:
            yield line(f" state.yml: {found.why}")
        elif not found.differences:
            yield line(" ", ("✔", Tone.GOOD), " state.yml is what the ledger says")
        for item in found.differences:
            yield line(
                " ",
                ("✘", Tone.BAD),
                f" state.yml:{item.line} {item.path}: {item.found!r}, the ledger says {item.expected!r}",
            )
        if found.differences:
            yield line("   Write the ledger's values back, or remove the file: it is rendered again.")

    surface.answer(
        lambda: {
            "schema": schema("state-check"), "comparable": found.comparable, "why": found.why,
            "differences": [
                {"path": d.path, "line": d.line, "expected": d.expected, "found": d.found} for d in found.differences
            ],
        },
        lines,
    )  # fmt: skip
    return EXIT_REFUSED if found.differences else EXIT_DONE
