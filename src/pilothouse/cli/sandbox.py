"""harbour, demo, doctor."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.cli.surface import Surface, program
from pilothouse.errors import EXIT_DONE, EXIT_REFUSED, UsageError
from pilothouse.render.screen import BLANK, Line, Tone, line, padded
from pilothouse.render.text import wrap
from pilothouse.views import schema

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.doctor import Check
    from pilothouse.harbour import World
    from pilothouse.harbour.world import Layout


def harbour_up(
    surface: Surface,
    folder: Path,
    *,
    faults: Sequence[str],
    watch: float,
    ask: bool,
    detach: bool,
    layout: str = "release",
) -> int:
    """Build and start a sandbox world; without ``detach`` it ends with this command.

    Raises:
        UsageError: `usage`: there is no such layout; `unknown-fault`, `fault-not-here`.
    """
    from pilothouse import harbour

    variant = harbour.Variant(layout=_layout(layout))
    world = harbour.up(
        folder, faults=faults, watch_seconds=watch, scripted_approval=not ask, variant=variant, detached=detach
    )
    surface.answer(lambda: _world_json(world), lambda: _world_lines(world, detach=detach))
    if detach:
        return EXIT_DONE
    with suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        while True:
            time.sleep(3600)
    harbour.down(folder)
    return EXIT_DONE


def _layout(text: str) -> Layout:
    match text:
        case "release" | "promotion":
            return text
        case _:
            message = f"{text[:40]!r} is no layout of a sandbox world"
            raise UsageError("usage", message, "pilothouse harbour up DIR --layout release|promotion")


def _world_json(world: World) -> dict[str, Json]:
    return {
        "schema": schema("harbour"), "folder": str(world.folder), "project": str(world.project),
        "origin": str(world.origin), "urls": {**world.urls}, "environment": {**world.environment},
        "supervisor": world.supervisor, "layout": world.layout,
    }  # fmt: skip


def _world_lines(world: World, *, detach: bool) -> Iterator[Line]:
    folder = shlex.quote(str(world.folder))
    yield line(" ", ("✔", Tone.GOOD), (f" A sandbox world is up in {world.folder}", Tone.STRONG))
    for name, url in world.urls.items():
        yield line(f"   {name:<11} ", url)
    yield line("   project     ", str(world.project))
    yield BLANK
    yield line(f' Use it:  eval "$({program()} harbour env {folder})" && cd {shlex.quote(str(world.project))}')
    yield line(f"          {program()} ship acme")
    yield line(f" End it:  {program()} harbour down {folder}" if detach else " End it:  Ctrl-C")


def harbour_down(surface: Surface, folder: Path) -> int:
    """End a world's processes; its files stay."""
    from pilothouse import harbour

    harbour.down(folder)
    surface.answer(
        lambda: {"schema": schema("harbour"), "folder": str(folder), "down": True},
        lambda: [line(f" Ended. Its files stay in {folder}; remove them with: rm -r {shlex.quote(str(folder))}")],
    )
    return EXIT_DONE


def harbour_fault(surface: Surface, folder: Path, name: str, switch: str) -> int:
    """Turn a fault on or off, or list them all."""
    from pilothouse import harbour
    from pilothouse.harbour.faults import Switches

    if name:
        harbour.fault(folder, name, switch == "on")
    world = harbour.load(folder)
    on = Switches(world.folder / "faults.json").on()

    def lines() -> Iterator[Line]:
        for fault, about in harbour.FAULTS.items():
            if name in {"", fault}:
                sign = ("on ", Tone.BAD) if fault in on else ("off", Tone.DIM)
                parts = wrap(about, max(30, surface.out().width - 34))
                yield line(" ", sign, " ", (padded(fault, 28), Tone.PLAIN), (parts[0], Tone.DIM))
                yield from (line(" " * 33, (part, Tone.DIM)) for part in parts[1:])

    surface.answer(lambda: {"schema": schema("harbour-fault"), "faults": {f: f in on for f in harbour.FAULTS}}, lines)
    return EXIT_DONE


def harbour_env(surface: Surface, folder: Path) -> int:
    """What a shell needs to work in a world: lines for eval."""
    from pilothouse import harbour

    world = harbour.load(folder)
    surface.answer(
        lambda: _world_json(world),
        lambda: [line(f"export {name}={shlex.quote(value)}") for name, value in world.environment.items()],
    )
    return EXIT_DONE


def doctor(surface: Surface) -> int:
    """Look at tools, project, credentials, ledger and remote; exit 20 where something must be mended."""
    from pilothouse.doctor import BAD, WARN, examine

    checks = examine(surface.project)
    fine = all(check.level != BAD for check in checks)
    signs = {"ok": ("✔", Tone.GOOD), WARN: ("◆", Tone.WAIT), BAD: ("✘", Tone.BAD)}

    def lines() -> Iterator[Line]:
        for check in checks:
            yield line(" ", signs[check.level], " ", (padded(check.name, 16), Tone.STRONG), " ", check.told)
            if check.hint:
                first, *more = wrap(check.hint, surface.out().width - 24)
                yield line(" " * 20, (f"→ {first}", Tone.DIM))
                yield from (line(" " * 22, (part, Tone.DIM)) for part in more)
        yield BLANK
        yield line(" All is well." if fine else " Mend what is marked with a cross, then ask again.")

    surface.answer(lambda: {"schema": schema("doctor"), "ok": fine, "checks": [_check_json(c) for c in checks]}, lines)
    return EXIT_DONE if fine else EXIT_REFUSED


def _check_json(check: Check) -> dict[str, Json]:
    return {"name": check.name, "level": check.level, "told": check.told, "hint": check.hint}
