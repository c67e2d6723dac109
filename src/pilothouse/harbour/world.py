"""The sandbox world: built, started, looked at, ended."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pilothouse.errors import RequestRefused, UsageError
from pilothouse.harbour.faults import Switches, known

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilothouse.harbour.changes import Change

ENVIRONMENTS = ("staging", "production")
Layout = Literal["release", "promotion"]
Results = Literal["both", "checks", "statuses"]
# The branch whose push deploys an environment.
BRANCHES: dict[Layout, dict[str, str]] = {
    "release": {"staging": "deploy/staging", "production": "deploy/production"},
    "promotion": {"staging": "staging", "production": "main"},
}
START_SECONDS = 60


# Open for as long as this process lives: the supervisors of its worlds read the other ends.
_lifelines: dict[Path, int] = {}


@dataclass(frozen=True, slots=True)
class Variant:
    """What of a world's project differs from the usual.

    Args:
        deploy: whether a push to a branch deploys, or the project's own deploy script that talks to the platform
            (releases only: a promotion's push deploys).
        contracting: whether the release has, beside the migration before the code, one that must wait for it.
        models: a section ``models:`` for its pilothouse.yml, as YAML; empty: its agents are scripted.
        changes: what main has gained besides, oldest first.
        instead: whether that is all that main has gained since the last release.
        layout: whether main is ahead of what runs and is released, or staging is ahead of main and is promoted to it.
        ci: which kinds of results the forge has: check runs and a commit status, or one of them.
        recorded: whether a release writes records on the remote; a promotion always does.
    """

    deploy: Literal["push", "command"] = "push"
    contracting: bool = False
    models: str = ""
    changes: tuple[Change, ...] = ()
    instead: bool = False
    layout: Layout = "release"
    ci: Results = "both"
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """Where everything of a running world is; also DIR/harbour.json.

    Args:
        folder: DIR.
        project: the working clone, where the conductor runs.
        origin: the bare remote.
        urls: the address of each environment, without a slash at the end.
        gh_socket: where GitHub's API answers; DIR/gh.sock is this or a link to it.
        control_socket: where hooks and this module talk to the supervisor.
        environment: the variables that a conductor's process needs.
        watch_seconds: the watch window in pilothouse.yml.
        supervisor: the process that holds the world up; 0 while it does not.
        serving: the process that serves each environment now; the supervisor keeps it true in harbour.json.
        layout: as in Variant.
        ci: as in Variant.
    """

    folder: Path
    project: Path
    origin: Path
    urls: dict[str, str]
    gh_socket: Path
    control_socket: Path
    environment: dict[str, str]
    watch_seconds: float
    supervisor: int = 0
    serving: dict[str, int] = field(default_factory=dict)
    layout: Layout = "release"
    ci: Results = "both"

    @property
    def branches(self) -> dict[str, str]:
        """The branch whose push deploys each environment."""
        return BRANCHES[self.layout]

    def database(self, environment: str) -> Path:
        """The database file of an environment."""
        return self.folder / environment / "app.db"

    def save(self) -> None:
        """Writes harbour.json, and env.sh for a shell to source; a reader never sees half a file."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]
        for name, text in (
            ("env.sh", "\n".join(lines)),
            ("harbour.json", json.dumps(asdict(self), indent=1, default=str)),
        ):
            fresh = self.folder / f"{name}.new"
            fresh.write_text(f"{text}\n", encoding="utf-8")
            fresh.replace(self.folder / name)


def load(folder: Path) -> World:
    """Reads a world from its folder.

    Raises:
        UsageError: `no-world`: there is none.
    """
    file = folder / "harbour.json"
    try:
        fields: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        hint = f"Make one: pilothouse harbour up {folder}"
        raise UsageError("no-world", f"{folder} holds no sandbox world", hint) from error
    paths = ("folder", "project", "origin", "gh_socket", "control_socket")
    return World(**fields | {name: Path(fields[name]) for name in paths})


def up(
    folder: Path,
    *,
    faults: Iterable[str] = (),
    watch_seconds: float = 4,
    scripted_approval: bool = True,
    ports: tuple[int, int] = (0, 0),
    variant: Variant = Variant(),
    detached: bool = False,
) -> World:
    """Builds a world in a folder and starts its supervisor; returns when everything answers.

    Args:
        folder: DIR; made where it does not exist.
        faults: names of FAULTS to begin with.
        watch_seconds: the watch window after a deployment to production.
        scripted_approval: whether approvals.yml on main opens the checkpoints without a person.
        ports: of staging and production, where they must be known before; 0 takes a free one. Worlds with the same
            ports have the same shas.
        variant: what of the project differs from the usual.
        detached: whether the world outlives the process that called this; otherwise it ends with it, however that ends.

    Raises:
        UsageError: `unknown-fault`, `fault-not-here`.
        RequestRefused: `world-exists`, `gh-missing`, `harbour-not-started`.
    """
    from pilothouse.harbour.building import build
    from pilothouse.harbour.projectfile import Project

    wanted = known(faults, variant.layout)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any((folder / name).exists() for name in ("harbour.json", "origin.git", "acme")):
        hint = f"End it with: pilothouse harbour down {folder}, and remove the folder"
        raise RequestRefused("world-exists", f"{folder} already holds a sandbox world", hint)
    listening = {name: _listen(port) for name, port in zip(ENVIRONMENTS, ports, strict=True)}
    try:
        urls = {name: f"http://127.0.0.1:{sock.getsockname()[1]}" for name, sock in listening.items()}
        Switches(folder / "faults.json").turn(wanted, on=True)
        deploy = "push" if variant.layout == "promotion" else variant.deploy
        project = Project(
            urls,
            watch_seconds,
            scripted_approval,
            deploy,
            variant.models,
            layout=variant.layout,
            ci=variant.ci,
            recorded=variant.recorded,
        )
        _start(build(folder, project, wanted, variant), listening, detached=detached)
        return load(folder)
    finally:
        for sock in listening.values():
            sock.close()


def _listen(port: int) -> socket.socket:
    """A port that is this world's from the first moment: nobody can take it between choosing and serving."""
    sock = socket.create_server(("127.0.0.1", port), backlog=128)
    # Versions share it: one that lost the race for a connection must not block.
    sock.setblocking(False)  # noqa: FBT003
    return sock


def _start(world: World, listening: dict[str, socket.socket], *, detached: bool) -> None:
    """Starts the supervisor and waits for its word, by which harbour.json knows it."""
    reading, writing = os.pipe()
    # The end of this process closes its lifelines, and no child of it inherits them.
    lifeline, mine = os.pipe()
    fds = [*(listening[name].fileno() for name in ENVIRONMENTS), writing, lifeline]
    argv = [sys.executable, "-P", "-m", "pilothouse.harbour.supervisor", str(world.folder), *map(str, fds)]
    argv += ["detached"] if detached else []
    try:
        with (world.folder / "supervisor.log").open("ab") as log:
            # It detaches itself, so this call ends at once and leaves no child behind to be waited for.
            subprocess.run(
                argv,
                check=False,
                timeout=START_SECONDS,
                pass_fds=fds,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
    finally:
        os.close(writing)
        os.close(lifeline)
    let_go(world.folder)
    _lifelines[world.folder] = mine
    with os.fdopen(reading, encoding="utf-8") as word:
        said = word.readline()
    if said != "ready\n":
        let_go(world.folder)
        tail = (world.folder / "supervisor.log").read_text(encoding="utf-8", errors="replace")[-1500:]
        raise RequestRefused("harbour-not-started", f"the sandbox's supervisor did not start: {tail}")


def let_go(folder: Path) -> None:
    """Lets go of a world that this process holds up by its own life."""
    mine = _lifelines.pop(folder, None)
    if mine is not None:
        os.close(mine)
