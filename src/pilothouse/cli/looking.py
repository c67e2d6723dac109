"""status, explain, audit, state: looking without touching."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.cli.surface import Surface, history, times_of
from pilothouse.errors import EXIT_DONE, EXIT_HALTED, PilothouseError, UsageError
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
        surface.emit(_one_json(app, run) if run else _all_json(app))
        return EXIT_DONE
    runs = app.runs()
    if not runs and not run:
        surface.out().write(_nothing_yet(app))
        _write_held(surface, app)
        return EXIT_DONE
    going = [state for state in runs if not state.over]
    if run or len(going) == 1 or (len(runs) == 1):
        _one(surface, app, app.find(run))
    if not run and len(runs) > 1:
        surface.out().write(_table(runs, surface.out().width))
    _write_held(surface, app)
    return EXIT_DONE


def _write_held(surface: Surface, app: Pilothouse) -> None:
    """The locks and freezes that hold a product now."""
    from pilothouse.cli.locking import held_lines

    surface.out().write(held_lines(app, surface.out().width))


def _one_json(app: Pilothouse, run: str) -> dict[str, Json]:
    from pilothouse.cli.conductor import marked

    state = app.find(run)
    return marked(app, [state], detailed_json(state, times_of(app, state)))


def _all_json(app: Pilothouse) -> dict[str, Json]:
    from pilothouse.cli.locking import active_json

    runs = app.runs()
    told = {**status_json(runs), "blocks": active_json(app)}
    if all(state.over for state in runs):
        return told
    from pilothouse.cli.conductor import marked

    return marked(app, runs, told)


def _nothing_yet(app: Pilothouse) -> Iterator[Line]:
    """Before the first run: what to type."""
    from pilothouse import config
    from pilothouse.render.screen import Tone, cut, line

    names = ["PRODUCT"]
    with suppress(PilothouseError):  # a broken file is told by the command that needs it
        names = list(config.load(app.project).products)
    yield line(" Nothing was shipped from this project yet.")
    yield line("   Look whether all is there  ", ("pilothouse doctor", Tone.STRONG))
    yield line("   Rehearse; changes nothing  ", (f"pilothouse ship {names[0]} --dry-run", Tone.STRONG))
    yield line("   Ship                       ", (f"pilothouse ship {names[0]}", Tone.STRONG))
    if len(names) > 1:
        yield line("   Products: ", cut(", ".join(names), 66))


def _one(surface: Surface, app: Pilothouse, state: RunState) -> None:
    from pilothouse.cli.conductor import told_of_conductor
    from pilothouse.render.drawing import draw
    from pilothouse.render.live import local_now
    from pilothouse.render.report import ending
    from pilothouse.render.timeline import timeline

    screen, times, now = surface.out(), times_of(app, state), local_now()
    screen.write(draw(timeline(state, times, now), screen.width, verbose=surface.verbose, spinner="…"))
    screen.write(ending(state, times, screen.width))
    screen.write(told_of_conductor(app, state, screen.width))


def _table(runs: Sequence[RunState], width: int) -> Iterator[Line]:
    from pilothouse.render.course import next_action, state_name, versions
    from pilothouse.render.screen import BLANK, Tone, cut, line, padded

    tones = {
        "done": Tone.GOOD, "waiting": Tone.WAIT, "running": Tone.BUSY, "refused": Tone.BAD, "halted": Tone.BAD,
        "failed": Tone.BAD,
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
        yield from (line("   ", part) for part in wrap(reason.means, width))
        first, *more = wrap(reason.advice, width - 2)
        yield line("   ", (f"→ {first}", Tone.WAIT))
        yield from (line("     ", (part, Tone.WAIT)) for part in more)

    surface.answer(
        lambda: {
            "schema": schema("explain"), "reason_code": reason.code, "kind": reason.kind,
            "messages": [reason.means], "hints": [reason.advice],
        },
        lines,
    )  # fmt: skip
    return EXIT_DONE


# --- audit ----------------------------------------------------------------------------------------------------------


def audit_show(surface: Surface, run: str, evidence: str = "") -> int:
    """The events of a run, one a line; or one piece of evidence, whole."""
    from pilothouse.events import fact_to_json

    app = surface.app()
    state = app.find(run)
    if evidence:
        from pilothouse.cli.evidence import show

        return show(surface, app, state, evidence)
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
    from pilothouse.auditing import examined
    from pilothouse.ledger.chain import verify
    from pilothouse.ledger.sqlite import SqliteJournal
    from pilothouse.render.screen import Tone, line
    from pilothouse.render.text import count

    path = surface.folder() / ".pilothouse" / "ledger.db"
    app = surface.app()
    if app.on_remote:
        app.chains()  # brings what other machines wrote
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
        # What the entries say is examined where their bytes are sound: of a broken chain nothing else can be told.
        said = {name: examined(journal.read(name)) for name, item in found.items() if item.ok}
    finally:
        journal.close()
    sound = all(item.ok for item in found.values()) and not any(item.problems for item in said.values())

    def lines() -> Iterator[Line]:
        for name, item in found.items():
            sign = ("✔", Tone.GOOD) if item.ok else ("✘", Tone.BAD)
            grown = (
                f" · grown by {item.entries - item.anchor} since the head you gave" if item.anchor is not None else ""
            )
            yield line(" ", sign, f" {name}: {item.entries} entries, every hash fits" if item.ok else f" {name}: ",
                       "" if item.ok else count(len(item.problems), "problem"), (grown, Tone.DIM))  # fmt: skip
            yield line("   head ", (item.head, Tone.DIM))
            told = said.get(name)
            if told is not None and told.given:
                signed = f", {told.signed} of them signed" if told.signed else ""
                yield line(
                    f"   {count(told.given, 'approval')}{signed}: " + ("a problem" if told.problems else "each fits")
                )
            for problem in (*item.problems, *(told.problems if told else ()))[:20]:
                yield line("   ", (f"#{problem.seq} {problem.kind}: {problem.message}", Tone.BAD))

    surface.answer(
        lambda: {
            "schema": schema("audit-verify"), "ok": sound,
            "chains": [
                {
                    "chain": name, "ok": item.ok, "entries": item.entries, "head": item.head, "anchor": item.anchor,
                    "approvals": said[name].given if name in said else None,
                    "signed": said[name].signed if name in said else None,
                    "problems": [
                        {"seq": p.seq, "kind": p.kind, "message": p.message}
                        for p in (*item.problems, *(said[name].problems if name in said else ()))
                    ],
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
