"""The one process that holds a world up.

It is started as `python -m pilothouse.harbour.supervisor DIR STAGING_FD PRODUCTION_FD READY_FD LIFELINE_FD [detached]`,
detaches itself, serves the environments, runs the checks, answers as the forge, and ends when it is told to, when the
process that started it is gone (unless detached), when DIR is gone or when it is too old. Whatever it starts reads from
a pipe that it holds, so that nothing outlives it.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.errors import UsageError
from pilothouse.harbour.ci import Integration
from pilothouse.harbour.environments import Deployment, Environment
from pilothouse.harbour.faults import Switches
from pilothouse.harbour.forge.server import Forge, ForgeServer
from pilothouse.harbour.forge.store import Store, now
from pilothouse.harbour.history import git
from pilothouse.harbour.sabotage import somebody
from pilothouse.harbour.world import ENVIRONMENTS, World, load

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_SECONDS = 6 * 3600
LATE_SECONDS = 1.5
NOTHING = "0" * 40
Update = dict[str, str]
Word = dict[str, object]


class _Board:
    """The forge's board, for a CI that reports only check runs or only statuses."""

    def __init__(self, store: Store, kinds: str) -> None:
        self._store, self._kinds = store, kinds

    def queued(self, sha: str, name: str, branch: str) -> None:
        """Records a check run that waits (see ci.Board)."""
        if self._kinds != "statuses":
            self._store.queued(sha, name, branch)

    def check(self, sha: str, name: str, status: str, conclusion: str | None, summary: str) -> None:
        """Records a check run's state (see ci.Board)."""
        if self._kinds != "statuses":
            self._store.check(sha, name, status, conclusion, summary)

    def status(self, sha: str, context: str, state: str, description: str) -> None:
        """Records a commit status (see ci.Board)."""
        if self._kinds != "checks":
            self._store.status(sha, context, state, description)


class Supervisor:
    """What holds the world up; each question on the control socket is answered in a thread of its own."""

    def __init__(self, world: World, listening: dict[str, socket.socket]) -> None:
        self._world, self._switches = world, Switches(world.folder / "faults.json")
        self._store = Store(world.folder / "forge.db")
        self._integration = Integration(world.folder, _Board(self._store, world.ci))
        self._promotes = world.layout == "promotion"
        self._environments = {
            name: Environment(world.folder / name, sock, migrates=self._promotes) for name, sock in listening.items()
        }
        # A branch, and the environment to which its pushes go.
        self._deploys = {branch: self._environments[name] for name, branch in world.branches.items()}
        self._deploying: dict[str, queue.Queue[str]] = {name: queue.Queue() for name in listening}
        self._forge = Forge(world.folder, self._store, self._pushed_here)
        self._ended = threading.Event()
        self._telling = threading.Lock()

    def start(self) -> None:
        """Deploys what the branches name and checks what is to be released; returns when all of it is done."""
        self._thread(self._integration.work)
        self._thread(ForgeServer(self._world.gh_socket, self._forge).serve_forever)
        self._thread(self._listen)
        released = "staging" if self._promotes else "main"
        self._integration.submit(self._tip(released), released)
        tips = {name: self._tip(branch) for name, branch in self._world.branches.items()}
        deploying = [threading.Thread(target=self._place, args=[self._environments[name], tips[name]]) for name in tips]
        for thread in deploying:
            thread.start()
        for thread in deploying:
            thread.join()
        for environment in self._environments.values():
            if environment.deployed[-1:] != [tips[environment.name]]:
                raise RuntimeError(f"{environment.name} does not answer; see {environment.name}/app.log")
            self._thread(environment.traffic, self._ended)
            self._thread(self._deploy_in_turn, environment)
        self._integration.settle()
        self._tell()

    def _tell(self) -> None:
        """Writes into harbour.json which processes there are now."""
        with self._telling, suppress(OSError, UsageError):  # the folder may be gone
            serving = {name: environment.process for name, environment in self._environments.items()}
            replace(load(self._world.folder), supervisor=os.getpid(), serving=serving).save()

    def end_with(self, lifeline: int) -> None:
        """Ends the world when the process at the other end of a pipe is gone; for a thread of its own."""
        os.read(lifeline, 1)
        self._ended.set()

    def stay(self) -> None:
        """Returns when the world is to end."""
        oldest = time.monotonic() + MOST_SECONDS
        mine = (self._world.folder / "supervisor.lock").stat()
        while not self._ended.wait(1) and self._is(mine):
            if time.monotonic() > oldest:
                break
        self._ended.set()
        for environment in self._environments.values():
            environment.end()

    def _is(self, mine: os.stat_result) -> bool:
        """Whether DIR is still this world's: it may be gone, or another world may have been made in its place."""
        try:
            there = (self._world.folder / "supervisor.lock").stat()
        except OSError:
            return False
        return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)

    def _thread(self, target: object, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _tip(self, branch: str) -> str:
        return git("rev-parse", f"refs/heads/{branch}", cwd=self._world.origin)

    def _place(self, environment: Environment, sha: str) -> Deployment:
        """Deploys, and has the forge tell of it from the first moment on."""
        known: dict[str, object] = {
            "environment": environment.name,
            "sha": sha,
            "ref": self._world.branches[environment.name],
            "created": now(),
        }
        number = self._store.put("deployments", **known, state="in_progress", description="")
        done = environment.deploy(sha)
        self._store.put("deployments", id=number, **known, state=done.state, description=done.detail)
        return done

    def _deploy_in_turn(self, environment: Environment) -> None:
        """Deploys what was pushed, in the order of the pushes, for ever; for a thread of its own."""
        waiting = self._deploying[environment.name]
        while True:
            sha = waiting.get()
            try:
                self._deploy(environment, sha)
            except (OSError, subprocess.SubprocessError) as error:
                sys.stderr.write(f"harbour: {environment.name} is not deployed: {error}\n")
            finally:
                waiting.task_done()

    # The control socket: one JSON line asks, lines of {"say": …} answer, {"exit": code} ends.

    def _listen(self) -> None:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(self._world.control_socket))
        server.listen(64)
        while True:
            line, _ = server.accept()
            self._thread(self._answer, line)

    def _answer(self, line: socket.socket) -> None:
        # A client that went away has its reasons (it may have been killed); the work is done all the same.
        with line, line.makefile("r", encoding="utf-8") as questions:
            for word in self._done(json.loads(questions.readline())):
                with suppress(OSError):
                    line.sendall(json.dumps(word).encode() + b"\n")

    def _done(self, question: Word) -> Iterator[Word]:
        code = 0
        match question:
            case {"do": "pushed", "refs": list(refs)}:
                for words in self._pushed(refs):
                    yield {"say": words}
            case {"do": "late", "refs": list(refs)} if self._switches.spend("effect-late"):
                self._thread(self._land_late, refs)
            case {"do": "lost", "refs": list(refs)} if self._switches.spend("reply-lost"):
                self._thread(list, self._pushed(refs))
            case {"do": "late" | "lost"}:
                code = 3
            case {"do": "deploy", "environment": "staging" | "production" as name, "sha": str(sha)}:
                yield from self._on_command(self._environments[name], sha)
                return
            case {"do": "running", "environment": "staging" | "production" as name}:
                yield {**self._environments[name].running()}
            case {"do": "somebody", "fault": str(fault)}:
                self._somebody(fault)
            case {"do": "settle"}:
                self._settle()
            case {"do": "end"}:
                self._ended.set()
            case _:
                code = 2
        yield {"exit": code}

    def _pushed(self, refs: list[Update]) -> Iterator[str]:
        for update in refs:
            ref, new = update["ref"], update["new"]
            if not ref.startswith("refs/heads/") or new == NOTHING:
                continue
            self._forge.mutations.landed(ref, update["old"], new)
            name = ref.removeprefix("refs/heads/")
            environment = self._deploys.get(name)
            if environment and self._promotes:
                # Nobody who pushes to such a branch waits for what the forge then does.
                self._deploying[environment.name].put(new)
                yield f"{environment.name} is being deployed from {name}"
            elif environment:
                yield str(self._deploy(environment, new))
            if self._promotes or not environment:
                self._integration.submit(new, name)

    def _settle(self) -> None:
        for waiting in self._deploying.values():
            waiting.join()
        self._integration.settle()

    def _deploy(self, environment: Environment, sha: str) -> Deployment:
        done = self._place(environment, sha)
        self._tell()
        if done.state == "success" and done.environment == "production":
            self._somebody("main-moves-after-deploy")
            self._somebody("main-conflicts-after-deploy")
        return done

    def _on_command(self, environment: Environment, sha: str) -> Iterator[Word]:
        """A deployment that the project's own command asks for; without an {"exit": …} its connection breaks."""
        production = environment.name == "production"
        if production and self._switches.spend("effect-late"):
            self._thread(self._deploy_late, environment, sha)
            return
        done = self._deploy(environment, sha)
        if production and self._switches.spend("reply-lost"):
            return
        yield {"say": str(done)}
        yield {"exit": 0 if done.state == "success" else 1}

    def _deploy_late(self, environment: Environment, sha: str) -> None:
        time.sleep(LATE_SECONDS)
        self._deploy(environment, sha)

    def _somebody(self, fault: str) -> None:
        """Somebody else pushes to main."""
        if self._switches.spend(fault):
            self._pushed_here("refs/heads/main", *somebody(self._world.origin, fault, self._world.layout))

    def _pushed_here(self, ref: str, old: str, new: str) -> None:
        """A push that did not come through git's hooks: the forge's own, or somebody's."""
        self._thread(list, self._pushed([{"ref": ref, "old": old, "new": new}]))

    def _land_late(self, refs: list[Update]) -> None:
        time.sleep(LATE_SECONDS)
        for update in refs:
            git("update-ref", update["ref"], update["new"], update["old"], cwd=self._world.origin)
        list(self._pushed(refs))


def detach() -> None:
    """Leaves the starter's session, so that neither its end nor its terminal ends the world."""
    if os.fork():
        os._exit(0)
    os.setsid()


def main() -> None:
    """Holds one world up until it ends."""
    detach()
    folder, staging, production, ready, lifeline, *detached = sys.argv[1:]
    fds = (staging, production)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for fd in (*fds, ready, lifeline):
        # Only a berth gets its socket; a git child must not hold the pipe open.
        os.set_inheritable(int(fd), False)  # noqa: FBT003
    listening = {name: socket.socket(fileno=int(fd)) for name, fd in zip(ENVIRONMENTS, fds, strict=True)}
    with (Path(folder) / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for life: see ending.down
        lock.write(str(os.getpid()))
        lock.flush()
        _hold_up(load(Path(folder)), listening, int(ready), None if detached else int(lifeline))


def _hold_up(world: World, listening: dict[str, socket.socket], ready: int, lifeline: int | None) -> None:
    try:
        supervisor = Supervisor(world, listening)
        supervisor.start()
        with os.fdopen(ready, "w") as word:
            word.write("ready\n")
        if lifeline is not None:
            threading.Thread(target=supervisor.end_with, args=[lifeline], daemon=True).start()
        supervisor.stay()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"harbour: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(0)  # daemon threads may be anywhere; their children end with the pipes


if __name__ == "__main__":
    main()
