"""A whole sandbox release by the conductor, against scripts that do the same work without one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import measure

from pilothouse import harbour as sandbox

ROUNDS = 3
HERE = Path(__file__).parent
FULL = "set-up,look,probe,pin,effect,read-back"
NAIVE = "set-up,look,effect"  # what one writes by hand: look, do, go on


def rows(folder: Path) -> list[measure.Row]:
    """The release against the full script, and against the naive one.

    Every release begins in a fresh world at the same place with the same ports, so every commit has the same sha.
    """
    world_folder, ops, ports = folder / "world", folder / "ops.json", _free_ports()
    with fresh(world_folder, ports) as world:
        argv = [sys.executable, str(HERE / "recording.py"), str(ops), *ship(world)]
        measure.run(argv, env=environ(world))
        _demand_released(world)

    def conductor() -> measure.Cost:
        return _released(world_folder, ports, lambda world: [*measure.command(), *ship(world)])

    def script(purposes: str) -> measure.Cost:
        argv = [sys.executable, str(HERE / "replay.py"), str(ops), purposes]
        return _released(world_folder, ports, lambda _world: argv)

    cases = {"ours": conductor, "full": lambda: script(FULL), "naive": lambda: script(NAIVE)}
    costs = measure.interleaved(cases, ROUNDS)
    wall = {name: measure.median_wall(found) for name, found in costs.items()}
    cpu = {name: measure.median_cpu(found) for name, found in costs.items()}
    done = _counts(json.loads(ops.read_text()))
    return [
        measure.Row("release / script with the same commands (wall)", wall["ours"] / wall["full"], 1.3, note=done),
        measure.Row("release / script with the same commands (CPU)", cpu["ours"] / cpu["full"]),
        measure.Row("release / naive script (wall)", wall["ours"] / wall["naive"], note="no probes, pins, read-backs"),
        measure.Row("release / naive script (CPU)", cpu["ours"] / cpu["naive"]),
    ]


def ship(world: sandbox.World) -> list[str]:
    """The arguments with which the sample product is shipped."""
    return ["--project", str(world.project), "--quiet", "ship", "acme", "--approvals", "approvals.yml"]


def shipped(folder: Path) -> Path:
    """A project in which a release has finished; the world around it has ended, so that it disturbs nothing."""
    with fresh(folder / "shipped") as world:
        measure.run([*measure.command(), *ship(world)], env=environ(world))
        return Path(shutil.copytree(world.project, folder / "project"))


def environ(world: sandbox.World) -> dict[str, str]:
    """What a conductor's process needs."""
    return {**os.environ, **world.environment}


def _released(folder: Path, ports: tuple[int, int], argv: object) -> measure.Cost:
    with fresh(folder, ports) as world:
        cost = measure.run(argv(world), env=environ(world))
        _demand_released(world)
    return cost


@contextmanager
def fresh(folder: Path, ports: tuple[int, int] = (0, 0)) -> Iterator[sandbox.World]:
    """A new world in a folder; it is ended and removed."""
    world = sandbox.up(folder, watch_seconds=2, ports=ports)
    try:
        sandbox.settle(folder)
        yield world
    finally:
        sandbox.down(folder)
        shutil.rmtree(folder)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def _demand_released(world: sandbox.World) -> None:
    """A script that did not release would be quick and mean nothing."""
    for environment in ("staging", "production"):
        with urllib.request.urlopen(f"{world.urls[environment]}/version", timeout=5) as reply:
            version = json.load(reply)["version"]
        if version != "1.4.0":
            raise SystemExit(f"bench: {environment} answers {version}")
    subprocess.run(["git", "-C", str(world.origin), "merge-base", "--is-ancestor", "v1.4.0", "main"], check=True)


def _counts(ops: list[dict[str, object]]) -> str:
    found = Counter(str(op["purpose"]) for op in ops if op["do"] == "run")
    told = ", ".join(f"{number} for {purpose}" for purpose, number in found.most_common())
    waits = sum(float(str(op["seconds"])) for op in ops if op["do"] == "sleep")
    requests = sum(op["do"] == "get" for op in ops)
    return f"{sum(found.values())} children ({told}), {requests} requests, {waits:.1f} s of pauses"
