"""lock, unlock, freeze: what holds a product, said and seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from pilothouse.app import os_user
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, EXIT_REFUSED, PilothouseError, RequestRefused, UsageError
from pilothouse.render.screen import BLANK, Line, Tone, line, padded
from pilothouse.render.text import safe, wrap
from pilothouse.views import schema

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.canonical import Json
    from pilothouse.guard.policy import Block
    from pilothouse.settings import Freeze

CHANNEL = "terminal"


def demand_terminal(surface: Surface) -> None:
    """Refuse where no person can sit: what permits something never comes through a pipe (I14).

    Raises:
        RequestRefused: standard input or output is no terminal.
    """
    from pilothouse.cli.following import on_terminal

    if not on_terminal() or surface.json:
        raise RequestRefused(
            "approval-needs-a-terminal",
            "what permits something is said by a person on a terminal; this is a pipe or a file",
            "run it yourself in a terminal, without --json",
        )


def lock(surface: Surface, product: str, *, every: bool, name: str, reason: str, expires: str) -> int:
    """Hold a product, or every one."""
    from pilothouse import locking

    app = surface.app()
    made = app.lock(
        _chosen(product, every=every), os_user(CHANNEL), name=name, reason=reason, lasts=locking.lasting(expires)
    )
    fact, what = made.fact, "every product" if every else product
    surface.answer(
        lambda: {"schema": schema("lock"), "product": product or None, **_lock_json(made)},
        lambda: [
            line(" ", ("Locked", Tone.WAIT), f" {what}: {safe(fact.reason, 200)}"),
            line(f" {fact.name}, by {fact.owner}, {_until(fact.expires_at)}. Rollbacks pass."),
            line(f" Take it off: pilothouse unlock {'--all' if every else product} --name {fact.name} --reason '…'"),
        ],
    )  # fmt: skip
    return EXIT_DONE


def unlock(surface: Surface, product: str, *, every: bool, name: str, reason: str) -> int:
    """Take a lock off."""
    demand_terminal(surface)
    known = surface.app().unlock(_chosen(product, every=every), os_user(CHANNEL), name=name, reason=reason)
    what = "every product" if every else product
    surface.out().write(
        [line(" ", ("Unlocked", Tone.GOOD), f" {what}: {known.name} is off the record of what holds it.")]
    )
    return EXIT_DONE


def _chosen(product: str, *, every: bool) -> str:
    from pilothouse.locking import ALL

    if bool(product) == every:
        raise UsageError("which-product", "one product, or --all of them?", "pilothouse lock PRODUCT, or lock --all")
    return ALL if every else product


def freeze_list(surface: Surface, product: str) -> int:
    """The freezes on the base branch: what each holds, since or from when."""
    from pilothouse import locking
    from pilothouse.guard.policy import next_window, stamp, window

    app = surface.app()
    now = app.clock.now()
    rows: list[dict[str, Json]] = []
    for freeze in locking.base_policy(app, product or _first(app)).policy.freezes:
        covered = window(freeze, now)
        rows.append({
            "name": freeze.name, "reason": freeze.reason, "products": list(freeze.products),
            "active": covered is not None, "until": stamp(covered[1]) if covered else None,
            "next": next_window(freeze, now) or None, "rule": freeze.rule or None, "time_zone": freeze.time_zone,
        })  # fmt: skip

    def lines() -> Iterator[Line]:
        yield from () if rows else [line(" No freezes on the base branch.")]
        for row in rows:
            tone, when = (Tone.WAIT, _until(str(row["until"]))) if row["active"] else (Tone.DIM, _next(row["next"]))
            yield line(" ", (padded(str(row["name"]), 20), tone), " ", padded(when, 34), safe(str(row["reason"]), 60))

    surface.answer(lambda: {"schema": schema("freeze"), "freezes": [*rows]}, lines)
    return EXIT_DONE


def freeze_check(surface: Surface, product: str, at: str) -> int:
    """Whether a product could ship at a moment; exit 20 where something holds it then."""
    from pilothouse import locking
    from pilothouse.events import GLOBAL_CHAIN
    from pilothouse.guard.policy import constraints

    app = surface.app()
    name = product or _first(app)
    policy = locking.base_policy(app, name).policy
    moment = locking.moment(at, app.clock.now())
    held = constraints(policy.freezes, app.line(name), app.line(GLOBAL_CHAIN), name, moment, policy.override)
    blocks: list[Json] = [_block_json(block) for block in held.blocks]
    answer: Mapping[str, Json] = {
        "schema": schema("freeze-check"), "product": name, "at": moment.isoformat(), "open": not blocks,
        "blocks": blocks, "opens": held.opens or None,
    }  # fmt: skip

    def lines() -> Iterator[Line]:
        if not held.blocks:
            yield line(" ", ("Open", Tone.GOOD), f": nothing holds {name} at {_local(moment.isoformat())}.")
        for block in held.blocks:
            yield from block_lines(block, 80)
        if held.opens:
            yield line(f" Open again: {_local(held.opens)}")

    surface.answer(lambda: answer, lines)
    return EXIT_REFUSED if held.blocks else EXIT_DONE


def held_lines(app: Pilothouse, width: int) -> Iterator[Line]:
    """What holds each product now, for status: locks of the ledger, freezes as pilothouse.yml here says."""
    found = active(app)
    if any(found.values()):
        yield BLANK
    for name, blocks in found.items():
        for block in blocks:
            yield from block_lines(block, width, name)


def active(app: Pilothouse) -> dict[str, tuple[Block, ...]]:
    """What holds each product now. Only to be looked at: what counts is read from the base branch."""
    from pilothouse.events import GLOBAL_CHAIN
    from pilothouse.guard.policy import blocks

    everything = app.line(GLOBAL_CHAIN)
    freezes: tuple[Freeze, ...] = ()
    names = [chain for chain in app.chains() if chain != GLOBAL_CHAIN]
    with suppress(PilothouseError, OSError):  # a broken file is told by the command that needs it
        # Reading the configuration takes longer than all the rest: only where there is something to be read.
        if "freezes:" in (app.project / "pilothouse.yml").read_text(encoding="utf-8"):
            from pilothouse import config

            configuration = config.load(app.project)
            freezes, names = configuration.policy.freezes, sorted({*names, *configuration.products})
    now = app.clock.now()
    return {name: blocks(freezes, app.line(name), everything, name, now) for name in names}


def active_json(app: Pilothouse) -> list[Json]:
    """``blocks`` of ``pilothouse.status/1``."""
    return [{"product": name, **_block_json(block)} for name, blocks in active(app).items() for block in blocks]


def block_lines(block: Block, width: int, product: str = "") -> Iterator[Line]:
    """One freeze or lock, in a line or two."""
    what = "Frozen" if block.kind == "freeze" else "Locked"
    whose = f" {product}" if product else ""
    told = f"{whose} by {block.owner} ({block.id}), {_until(block.until)}: {safe(block.reason, 300)}"
    first, *more = wrap(told.strip(), max(20, width - 9))
    yield line(" ", (what, Tone.WAIT), f" {first}")
    for part in more:
        yield line("        ", part)


def _block_json(block: Block) -> dict[str, Json]:
    return {
        "id": block.id, "kind": block.kind, "name": block.name, "reason": block.reason, "owner": block.owner,
        "since": block.since, "until": block.until or None,
    }  # fmt: skip


def _lock_json(lock: object) -> dict[str, Json]:
    from pilothouse.guard.product import Lock

    assert isinstance(lock, Lock)
    fact = lock.fact
    return {
        "name": fact.name, "reason": fact.reason, "owner": fact.owner, "since": lock.at,
        "until": fact.expires_at or None,
    }  # fmt: skip


def _first(app: Pilothouse) -> str:
    from pilothouse import config

    products = config.load(app.project).products
    if len(products) > 1:
        raise UsageError("which-product", f"which product? There are: {', '.join(sorted(products))}")
    return next(iter(products))


def _until(at: str) -> str:
    return f"until {_local(at)}" if at else "until it is unlocked"


def _next(at: Json) -> str:
    return f"next {_local(str(at))}" if at else "never again"


def _local(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M %Z}"
