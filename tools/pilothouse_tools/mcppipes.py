"""An MCP server as a child: messages over its pipes, nothing of it left behind however this process ends.

Not the SDK's own way to start one: that hands on part of our environment, and its child outlives a killed conductor.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from typing import IO, TYPE_CHECKING, cast

from pilothouse.errors import ToolFailed
from pilothouse_tools.child import _guardian, _kill, _program, _start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]

_CHUNK = 1 << 16
_MESSAGE = 16 << 20  # bytes of one message; two hundred tools with their schemas are a third of one megabyte
_STRANGE = 1000  # lines that are no messages; a program that is no MCP server says more
_TAIL = 1 << 14  # bytes kept of what it writes to standard error


class Pipes:
    """One child and its three pipes; ``complaint`` is the end of what it wrote to standard error."""

    def __init__(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self._argv, self._cwd, self._env = argv, cwd, env
        self._said = bytearray()

    @property
    def complaint(self) -> str:
        """The end of its standard error."""
        return self._said.decode("utf-8", "replace")

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[Streams]:
        """The two streams of messages, as the SDK's client takes them; at the end the whole process group is killed.

        Raises:
            ToolFailed: ``tool-missing``, ``tool-not-started``, ``bad-argument``.
        """
        import anyio
        from mcp.shared.message import SessionMessage

        program = _program(self._argv, self._env)
        with _guardian() as group:
            child = _start([program, *self._argv[1:]], self._cwd, self._env, group, feed=True)
            incoming, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
            said, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
            try:
                async with heard, said, anyio.create_task_group() as tasks:
                    tasks.start_soon(self._listen, child, incoming)
                    tasks.start_soon(self._speak, child, outgoing)
                    tasks.start_soon(self._overhear, child)
                    try:
                        yield heard, said
                    finally:
                        tasks.cancel_scope.cancel()
            finally:
                _kill(group, child)
                child.wait()
                self._last_words(child)
                for pipe in (child.stdin, child.stdout, child.stderr):
                    with suppress(OSError):
                        cast("IO[bytes]", pipe).close()

    async def _listen(
        self, child: subprocess.Popen[bytes], incoming: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        import anyio

        lines = _Lines()
        async with incoming:
            while data := await _read(cast("IO[bytes]", child.stdout)):
                for line in lines.of(data):
                    message = _message(line)
                    lines.strange += message is None
                    if message is not None:
                        try:
                            await incoming.send(message)
                        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                            return
                if lines.beyond_bounds:
                    return  # the session sees the connection end

    @staticmethod
    async def _speak(child: subprocess.Popen[bytes], outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
        import anyio

        pipe = cast("IO[bytes]", child.stdin)
        os.set_blocking(pipe.fileno(), False)
        async with outgoing:
            async for said in outgoing:
                text = said.message.model_dump_json(by_alias=True, exclude_unset=True)
                rest = memoryview(f"{text}\n".encode())
                while rest:
                    try:
                        rest = rest[os.write(pipe.fileno(), rest) :]
                    except BlockingIOError:
                        await anyio.wait_writable(pipe)
                    except OSError:
                        return  # it has ended; its closed output tells the session

    async def _overhear(self, child: subprocess.Popen[bytes]) -> None:
        while data := await _read(cast("IO[bytes]", child.stderr)):
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        self._said += data
        del self._said[:-_TAIL]

    def _last_words(self, child: subprocess.Popen[bytes]) -> None:
        """What is left in the pipe of one that has ended; it may have said why."""
        pipe = cast("IO[bytes]", child.stderr)
        os.set_blocking(pipe.fileno(), False)
        with suppress(OSError):
            self._keep(os.read(pipe.fileno(), _CHUNK))


class _Lines:
    """The whole lines of what comes in pieces, and how much of it is no message."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self.strange = 0

    def of(self, data: bytes) -> list[bytes]:
        """The lines that a piece completes."""
        head, found, tail = data.rpartition(b"\n")
        if not found:
            self._keep(data)
            return []
        whole = b"".join([*self._rest, head])
        self._rest, self._size = [], 0
        self._keep(tail)
        return whole.split(b"\n")

    def _keep(self, data: bytes) -> None:
        self._rest.append(data)
        self._size += len(data)

    @property
    def beyond_bounds(self) -> bool:
        """Whether a line is too long, or too many are no messages."""
        return self._size > _MESSAGE or self.strange > _STRANGE


def _message(line: bytes) -> SessionMessage | None:
    """A line as a message; a banner on the wrong stream is none, and an answer that is none never comes."""
    import mcp.types as protocol
    from mcp.shared.message import SessionMessage

    if not line.lstrip().startswith(b"{"):
        return None
    try:
        return SessionMessage(protocol.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _read(pipe: IO[bytes]) -> bytes:
    import anyio.lowlevel

    os.set_blocking(pipe.fileno(), False)
    await anyio.lowlevel.checkpoint()  # whoever writes without an end must not keep the clock from running
    while True:
        try:
            return os.read(pipe.fileno(), _CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(pipe)
        except OSError as error:
            raise ToolFailed("tickets-unreachable", f"a pipe cannot be read: {error.strerror}") from None
