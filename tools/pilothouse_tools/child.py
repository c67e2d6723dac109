"""The one guarded runner: every child process of Pilothouse is started, bounded and ended here (I6, I7).

A child never outlives its conductor. Before each child a tiny shell, the guardian, starts as the leader of a new
process group; its standard input is a pipe whose other end only this process holds. The child joins that group before
it runs a single instruction of its own. However this process ends, kill -9 included, the kernel closes the pipe, the
guardian reads end-of-file and kills the group, so that no ``git push`` left behind lands late.

There is no window: between fork and exec the child holds a copy of the pipe's writing end, and it joins the group
before exec closes that copy. Only a descendant that leaves the group on purpose (setsid) escapes.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from pilothouse.errors import ToolFailed
from pilothouse_tools.seal import close_to_children

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CHUNK = 1 << 16
_PIPE_LIMIT = 1 << 20  # the most that a pipe holds: enough to drain what the dead have left in it
_TICK = 0.02  # seconds between two looks where the system has no descriptor for a process
# `read` returns at end-of-file. Signals that a child sends to its own group must not end the guardian before its time.
_GUARD = ("/bin/sh", "-c", "trap '' HUP INT QUIT TERM USR1 USR2; read _; kill -KILL 0")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended. An exit code proves nothing: success is a read-after-write (I5).

    Attributes:
        argv0: absolute path of the program that ran.
        code: exit code; negative: the signal that ended it.
        stdout, stderr: what it wrote. Where a stream exceeded the cap, its head and tail with a line between that
            counts the bytes left out.
        truncated: a stream exceeded the cap; such output must not be parsed.
        timed_out: the time ran out and the whole group was killed.
        ms: wall-clock milliseconds.
    """

    argv0: str
    code: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    timed_out: bool
    ms: int


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    stdin: bytes = b"",
    output_cap: int = 1_000_000,
) -> Finished:
    """Run a program to its end, never through a shell, and leave nothing of it behind.

    Args:
        argv: program and arguments; the program is an absolute path, or a name found through ``env["PATH"]``.
        cwd: working directory.
        env: the child's environment, exactly.
        timeout: seconds; then the whole process group is killed.
        stdin: what it reads; empty: nothing.
        output_cap: bytes kept of each of the two streams; the rest is read, counted and dropped.

    Returns:
        How it ended; a time-out is a result, not an error.

    Raises:
        ToolFailed: ``tool-missing``, ``bad-argument`` (NUL bytes, text that cannot be encoded), ``tool-not-started``.
    """
    program = _program(argv, env)
    started = time.monotonic()
    out, err = _Capture(output_cap), _Capture(output_cap)
    with _guardian() as group:
        child = _start([program, *argv[1:]], cwd, env, group, feed=bool(stdin))
        try:
            timed_out = _converse(child, stdin, out, err, started + timeout)
        finally:
            # The group first: leftovers that hold the pipes open must not keep us reading.
            _kill(group, child)
            child.wait()
            _drain(child, out, err)
    return Finished(
        argv0=program,
        code=child.returncode,
        stdout=out.kept(),
        stderr=err.kept(),
        truncated=bool(out.dropped or err.dropped),
        timed_out=timed_out,
        ms=int((time.monotonic() - started) * 1000),
    )


def _program(argv: Sequence[str], env: Mapping[str, str]) -> str:
    if not argv or not argv[0]:
        raise ToolFailed("bad-argument", "no program was given")
    for text in (*argv, *env, *env.values()):
        if "\0" in text:
            raise ToolFailed("bad-argument", f"{argv[0]!r}: an argument or variable holds a NUL byte")
    return resolve(argv[0], env)


def resolve(name: str, env: Mapping[str, str]) -> str:
    """The absolute path of a program, as a child's environment finds it. Raises ToolFailed("tool-missing")."""
    if name.startswith("/"):
        candidates = [name]
    elif "/" in name:
        raise ToolFailed("tool-missing", f"{name!r} is a relative path", "Give an absolute path, or a name on PATH.")
    else:
        # Relative entries of PATH would let the working directory, untrusted, choose the program.
        candidates = [f"{folder}/{name}" for folder in env.get("PATH", "").split(":") if folder.startswith("/")]
    for candidate in candidates:
        if os.access(candidate, os.X_OK) and Path(candidate).is_file():
            return candidate
    raise ToolFailed(
        "tool-missing", f"{name} was not found", f"Install {name}, or put it on PATH; see: pilothouse doctor"
    )


@contextmanager
def _guardian() -> Iterator[subprocess.Popen[bytes]]:
    """A process group that dies with this process; on leaving, everything in it is killed and reaped."""
    close_to_children()
    reading, writing = os.pipe()  # both close on exec
    try:
        try:
            group = subprocess.Popen(
                _GUARD, stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, process_group=0
            )
        except OSError as error:
            raise ToolFailed("tool-not-started", f"the guardian /bin/sh did not start: {error.strerror}") from error
        finally:
            os.close(reading)
        try:
            yield group
        finally:
            _kill(group)
            group.wait()
    finally:
        os.close(writing)


def _start(
    argv: list[str], cwd: Path, env: Mapping[str, str], group: subprocess.Popen[bytes], *, feed: bool
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=group.pid,
        )
    except OSError as error:
        raise ToolFailed("tool-not-started", f"{argv[0]} did not start in {cwd}: {error.strerror}") from error
    except ValueError as error:  # text that the file system's encoding cannot hold, "=" in a variable's name
        raise ToolFailed("bad-argument", f"{argv[0]}: an argument or variable cannot be passed on: {error}") from error


def _kill(group: subprocess.Popen[bytes], child: subprocess.Popen[bytes] | None = None) -> None:
    # The guardian is not reaped yet, so its group id cannot belong to strangers.
    # macOS answers EPERM for a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group.pid, signal.SIGKILL)
    if child is not None:  # it may have left the group
        child.kill()


class _Capture:
    """What is kept of one stream: the first half of the cap, and the last."""

    def __init__(self, cap: int) -> None:
        self._head_left = cap - cap // 2
        self._tail_room = cap // 2
        self._head: list[bytes] = []
        self._tail = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        if self._head_left:
            taken = data[: self._head_left]
            self._head.append(taken)
            self._head_left -= len(taken)
            data = data[len(taken) :]
        if data:
            self._tail += data
            # Cut in strides: moving the tail for every chunk would cost the cap each time.
            if len(self._tail) > 2 * self._tail_room + _CHUNK:
                self._cut()

    def _cut(self) -> None:
        excess = len(self._tail) - self._tail_room
        if excess > 0:
            del self._tail[:excess]
            self.dropped += excess

    def kept(self) -> bytes:
        self._cut()
        head = b"".join(self._head)
        if self.dropped:
            head += b"\n[%d bytes left out]\n" % self.dropped
        return head + bytes(self._tail)


def _outputs(child: subprocess.Popen[bytes], out: _Capture, err: _Capture) -> tuple[tuple[IO[bytes], _Capture], ...]:
    return (cast("IO[bytes]", child.stdout), out), (cast("IO[bytes]", child.stderr), err)


def _converse(child: subprocess.Popen[bytes], feed: bytes, out: _Capture, err: _Capture, deadline: float) -> bool:
    """Feed the child and read both streams until it ends; True where the deadline came first."""
    with selectors.DefaultSelector() as waiting, _exit_descriptor(child.pid) as ended:
        for stream, capture in _outputs(child, out, err):
            os.set_blocking(stream.fileno(), False)
            waiting.register(stream, selectors.EVENT_READ, capture)
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            waiting.register(child.stdin, selectors.EVENT_WRITE, _Feed(feed))
        if ended is not None:
            waiting.register(ended, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return child.poll() is None
            for key, _ in waiting.select(left if ended is not None else min(left, _TICK)):
                match key.data:
                    case _Capture() as capture if not _read(key.fd, capture):
                        waiting.unregister(key.fileobj)
                    case _Feed() as rest if not rest.give(key.fd):
                        waiting.unregister(key.fileobj)
                        cast("IO[bytes]", key.fileobj).close()
            if child.poll() is not None:
                return False


@contextmanager
def _exit_descriptor(pid: int) -> Iterator[int | None]:
    """A descriptor that becomes readable when the process ends, where the system has one (Linux)."""
    descriptor: int | None = None
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):
            descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _read(descriptor: int, capture: _Capture) -> int:
    try:
        data = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return 1
    capture.add(data)
    return len(data)


class _Feed:
    """What the child has not read yet of its input."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def give(self, descriptor: int) -> bool:
        """Write what fits; False where nothing remains to be written."""
        try:
            self._rest = self._rest[os.write(descriptor, self._rest[:_CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:  # the child does not want the rest
            return False
        return bool(self._rest)


def _drain(child: subprocess.Popen[bytes], out: _Capture, err: _Capture) -> None:
    for stream, capture in _outputs(child, out, err):
        # Bounded: somebody who escaped the group may write for ever.
        got = 0
        with suppress(BlockingIOError):
            while got < _PIPE_LIMIT and (data := os.read(stream.fileno(), _CHUNK)):
                capture.add(data)
                got += len(data)
        stream.close()
    if child.stdin is not None:
        child.stdin.close()
