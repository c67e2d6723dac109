"""validate: the manual checks, asked one by one on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pilothouse.app import os_user
from pilothouse.cli.locking import CHANNEL, demand_terminal
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, EXIT_REFUSED
from pilothouse.guard.product import NO
from pilothouse.render.screen import BLANK, Tone, line
from pilothouse.render.text import safe, short

if TYPE_CHECKING:
    from pilothouse.settings import ManualCheck


def validate(surface: Surface, product: str, sha: str) -> int:
    """Ask each manual check; exit 20 where one is answered with no."""
    demand_terminal(surface)
    app, screen = surface.app(), surface.out()

    def ask(check: ManualCheck, commit: str) -> tuple[str, str]:
        screen.write([BLANK, line(f" {product} at {short(commit)}: ", (safe(check.ask, 200), Tone.STRONG))])
        answer = ""
        while answer not in {"yes", "no"}:
            answer = _read(" yes or no: ")
        return answer, _read(" What did you see? (Enter: nothing to add) ")

    given = app.validate(product, os_user(CHANNEL), ask, sha)
    refused = [fact.item for fact in given if fact.answer == NO]
    screen.write([BLANK, line(f" {len(given)} answers recorded for {short(given[0].sha)} by {given[0].who}.")])
    if refused:
        screen.write([line(" ", ("No", Tone.BAD), f" to {', '.join(refused)}: a release of this commit stops there.")])
    return EXIT_REFUSED if refused else EXIT_DONE


def _read(prompt: str) -> str:
    sys.stdout.write(prompt)
    sys.stdout.flush()
    entered = sys.stdin.readline()
    if not entered:
        raise KeyboardInterrupt  # whoever closes the terminal answers nothing
    return entered.strip()
