"""What every command of the command line has: where the project is, how to speak, and the facade."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pilothouse.app import Pilothouse
    from pilothouse.canonical import Json
    from pilothouse.events import Event
    from pilothouse.guard.state import RunState
    from pilothouse.render.course import Times
    from pilothouse.render.screen import Line, Screen


@dataclass(slots=True)
class Surface:
    """The global options of one call, and the two streams.

    Args:
        project: as ``--project`` said it, or None: the nearest folder upwards.
    """

    project: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    stopped: bool = False  # an interrupt was answered already, in the command's own words
    opened: list[Pilothouse] = field(default_factory=list)

    def folder(self) -> Path:
        """The project's folder.

        Raises:
            UsageError: there is none.
        """
        from pilothouse.project import FILE, find_project

        if self.project is None:
            return find_project(Path.cwd())
        if not (self.project / FILE).is_file():
            raise UsageError("no-project", f"no {FILE} in {self.project}", "how to write one: docs/getting-started.md")
        return self.project.resolve()

    def place(self) -> Path | None:
        """The project's folder, or None: what must not fail asks this one."""
        from contextlib import suppress

        with suppress(UsageError, OSError):
            return self.folder()
        return None

    def app(self) -> Pilothouse:
        """The facade over this project; closed when the command ends."""
        from pilothouse.app import Pilothouse

        app = Pilothouse(self.folder())
        self.opened.append(app)
        return app

    def close(self) -> None:
        """Give back what was opened."""
        while self.opened:
            app = self.opened.pop()
            if app.ledger_note:
                from pilothouse.render.text import safe

                sys.stderr.write(f"the ledger: {safe(app.ledger_note, 600)}\n")
            app.close()

    def out(self) -> Screen:
        """Standard output."""
        from pilothouse.render.screen import Screen

        return Screen.on(sys.stdout)

    def aside(self) -> Screen:
        """Where progress and remarks go: standard error where standard output holds JSON."""
        from pilothouse.render.screen import Screen

        return Screen.on(sys.stderr if self.json else sys.stdout)

    def emit(self, value: Mapping[str, Json]) -> None:
        """The one JSON object of this call."""
        from pilothouse.render.text import visible_json

        sys.stdout.write(visible_json(value, indent=1) + "\n")
        sys.stdout.flush()

    def answer(self, value: Callable[[], Mapping[str, Json]], lines: Callable[[], Iterable[Line]]) -> None:
        """The JSON object where JSON is wanted, else the lines for people."""
        if self.json:
            self.emit(value())
        else:
            self.out().write(lines())


def history(app: Pilothouse, state: RunState) -> tuple[Event, ...]:
    """All events of a run, in order."""
    return tuple(event for event in app.journal.read(state.started.product) if event.run == state.run)


def times_of(app: Pilothouse, state: RunState) -> Times:
    """When the steps of a run were at work."""
    from pilothouse.render.course import Times

    return Times.of(history(app, state))


def program() -> str:
    """How this program can be called from the present shell."""
    import shutil

    found = shutil.which("pilothouse")
    own = Path(sys.argv[0]).resolve()
    if (found and Path(found).resolve() == own) or own.name != "pilothouse":
        return "pilothouse"
    return shlex.quote(str(own))
