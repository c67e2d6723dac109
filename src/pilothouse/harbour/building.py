"""Lays out a world's folder: history, clone, databases, hooks, and what forge and Linear remember."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.errors import RequestRefused
from pilothouse.harbour import history, promotion, provision, sabotage
from pilothouse.harbour.faults import Switches
from pilothouse.harbour.forge.seed import seed
from pilothouse.harbour.world import ENVIRONMENTS, World

if TYPE_CHECKING:
    from pilothouse.harbour.history import Landed
    from pilothouse.harbour.projectfile import Project
    from pilothouse.harbour.world import Variant

LONGEST_SOCKET_PATH = 90  # sockaddr_un has 108 bytes on Linux, 104 on macOS


def build(folder: Path, project: Project, faults: frozenset[str], variant: Variant) -> World:
    """Lays out everything that a supervisor then holds up, the lasting effects of the faults included.

    Raises:
        RequestRefused: `gh-missing`.
    """
    sockets = _socket_folder(folder)
    environment = _environment(folder, provision.gh(folder / "gh", sockets / "gh.sock"))
    if project.deploy == "command":
        environment |= {f"ACME_{name.upper()}_PLATFORM": f"{sockets / 'control.sock'}#{name}" for name in ENVIRONMENTS}
    if project.layout == "promotion":
        environment[promotion.VARIABLE] = str(folder)
    world = World(
        folder=folder,
        project=folder / "acme",
        origin=folder / "origin.git",
        urls=project.urls,
        gh_socket=sockets / "gh.sock",
        control_socket=sockets / "control.sock",
        environment=environment,
        watch_seconds=project.watch_seconds,
        layout=project.layout,
        ci=project.ci,
    )
    landed = _history(world, project, faults, variant)
    provision.state_file(world.project)
    for name in ENVIRONMENTS:
        provision.database(folder / name, project.urls[name])
    provision.hooks(folder, world.control_socket, world.branches["production"])
    seed(folder / "forge.db", landed)
    if world.layout == "promotion":
        provision.retarget(folder / "forge.db", landed)
        provision.linear(folder / "linear.db", promotion.tickets(place.change for place in landed))
    for fault in faults:
        sabotage.turn(folder, fault, on=True)
    world.save()
    return world


def _history(world: World, project: Project, faults: frozenset[str], variant: Variant) -> list[Landed]:
    """The remote with its history, and the working clone."""
    promotes, red = world.layout == "promotion", "tests-red" in faults
    gained = history.since(variant.changes, instead=variant.instead, red=red, contracting=variant.contracting)
    if promotes and not variant.instead:
        gained = promotion.since(gained)
    without = [promotion.UNARCHIVED] if "archive-missing" in faults else []
    landed = history.build(world.origin, project.files(), gained, layout=world.layout, without=without)
    if promotes and Switches(world.folder / "faults.json").spend("main-diverged"):
        sabotage.somebody(world.origin, "main-diverged", world.layout)
    options = ["-c", "user.name=ceo", "-c", "user.email=ceo@acme.test", "-c", "gc.auto=0"]
    options += ["--branch", "staging"] if promotes else []
    history.git("clone", "--quiet", *options, str(world.origin), str(world.project), cwd=world.folder)
    return landed


def _socket_folder(folder: Path) -> Path:
    """DIR, or a short folder that DIR/gh.sock links to: a socket's path is short by nature."""
    if len(os.fsencode(folder / "control.sock")) <= LONGEST_SOCKET_PATH:
        return folder
    short = Path(tempfile.mkdtemp(prefix="harbour-"))
    (folder / "gh.sock").symlink_to(short / "gh.sock")
    return short


def _environment(folder: Path, gh: dict[str, str]) -> dict[str, str]:
    # The interpreter that runs Pilothouse comes first: `python3` in pilothouse.yml and the gh of the demo extra.
    binaries = [str(Path(sys.executable).parent)]
    found = shutil.which("gh", path=os.pathsep.join([*binaries, os.environ.get("PATH", os.defpath)]))
    if not found:
        raise RequestRefused("gh-missing", "there is no gh on the PATH", "Install it: pip install 'pilothouse[demo]'")
    if (home := str(Path(found).parent)) not in binaries:
        binaries.insert(0, home)
    databases = {f"ACME_{name.upper()}_DB": str(folder / name / "app.db") for name in ENVIRONMENTS}
    return {**gh, **databases, "PATH": os.pathsep.join([*binaries, os.environ.get("PATH", os.defpath)])}
