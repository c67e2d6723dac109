"""state show|check: state.yml against the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import EXIT_DONE, EXIT_REFUSED
from pilothouse.views import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilothouse.cli.surface import Surface
    from pilothouse.render.screen import Line


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
