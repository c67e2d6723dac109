"""A server that stands in for the cloud: real HTTP, the Messages API with streaming, and as strict as the real one.

    with ModelServer("helpful") as server:
        AnthropicModel(server.models(), server.environ).answer(ask)
        server.bodies  # every request, byte for byte

What it plays is a scenario's name, a reply, a list of replies (the last one again and again), or a function of the
request. A reply is ``Say`` (blocks, streamed), ``Refuse`` (a status), ``Raw`` (bytes as they are) or ``Hang``.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from llm import wire_rules
from pilothouse.settings import Models

KEY = "sk-ant-test-4f2a91c07b3e58d6-not-a-key"


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def call(name: str, given: Any = None, identity: str = "") -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": name, "input": {} if given is None else given}


def broken_call(name: str, written: str, identity: str = "") -> dict[str, Any]:
    """A tool call whose input is this text, JSON or not."""
    return {"type": "tool_use", "id": identity, "name": name, "written": written}


def thought(said: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": said, "signature": "signed-" + sha256(said.encode()).hexdigest()[:24]}


@dataclass(frozen=True)
class Asked:
    """A request: its place among all (from 0), path, headers in lower case, bytes, and what they mean."""

    number: int
    path: str
    headers: dict[str, str]
    raw: bytes
    body: Any

    @property
    def tools(self) -> list[str]:
        return [tool["name"] for tool in self.body.get("tools", [])]

    @property
    def schema(self) -> Any:
        """Of the answer, or None."""
        return self.body.get("output_config", {}).get("format", {}).get("schema")

    @property
    def turn(self) -> int:
        """How many replies the conversation holds."""
        return sum(message["role"] == "assistant" for message in self.body["messages"])

    @property
    def last(self) -> list[dict[str, Any]]:
        content = self.body["messages"][-1]["content"]
        return [text(content)] if isinstance(content, str) else content

    @property
    def results(self) -> list[dict[str, Any]]:
        return [block for block in self.last if block["type"] == "tool_result"]

    @property
    def said(self) -> str:
        """Everything that was sent, as one text."""
        return self.raw.decode()

    @property
    def prefix(self) -> bytes:
        """Of the bytes, everything before the messages that the cache could hold: tools and system, as they were sent."""
        raw = self.said
        parts = []
        for key in ("tools", "system"):
            at = raw.find(f'"{key}":')
            if at >= 0 and key in self.body:
                parts.append(raw[at : at + _length(raw, at + len(key) + 3) + len(key) + 3])
        return "\n".join(parts).encode()


def _length(raw: str, start: int) -> int:
    return json.JSONDecoder().raw_decode(raw, start)[1] - start


@dataclass(frozen=True)
class Say:
    """A reply of blocks. ``stop``: by itself. ``pause``: seconds between events. ``cut``: events before it breaks off.

    ``whole``: text and inputs in one piece. ``pings``: between events.
    """

    blocks: tuple[dict[str, Any], ...] = ()
    stop: str = ""
    usage: dict[str, Any] | None = None
    pause: float = 0.0
    cut: int | None = None
    politely: bool = False
    whole: bool = False
    pings: int = 0
    error: tuple[str, str] | None = None  # an error event at the cut


@dataclass(frozen=True)
class Refuse:
    """A status with the API's error."""

    status: int
    kind: str = "api_error"
    message: str = "no"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """Bytes as they are, piece by piece, after these headers; ``forever``: the last piece again until nobody reads."""

    pieces: tuple[bytes, ...]
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    status: int = 200
    pause: float = 0.0
    forever: bool = False
    length: int | None = None


@dataclass(frozen=True)
class Hang:
    """No answer. ``after``: that many bytes of a head first; ``drip``: seconds between single bytes of it; else reset."""

    drip: float = 0.0
    reset: bool = False


Reply = Say | Refuse | Raw | Hang
Play = str | Reply | list[Reply] | Callable[[Asked], Reply]


class ModelServer:
    """The server. ``lacks``: features that it refuses (strict, output_format, cache, effort, thinking, counting)."""

    def __init__(self, play: Play = "helpful", *, key: str = KEY, lacks: frozenset[str] | set[str] = frozenset(),
                 strict: bool = True) -> None:  # fmt: skip
        self.play, self.key, self.lacks, self.strict = play, key, frozenset(lacks), strict
        self.asked: list[Asked] = []
        self.counted: list[Asked] = []
        self.refused: list[str] = []
        self.thoughts: set[str] = set()
        self.paused = False
        self.cached: set[bytes] = set()
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        return {"ANTHROPIC_API_KEY": self.key}

    def models(self, **changed: Any) -> Models:
        return Models(**{"base_url": self.url, "model": "claude-sonnet-5", **changed})

    @property
    def bodies(self) -> list[bytes]:
        """Every request for a reply, byte for byte."""
        return [asked.raw for asked in self.asked]

    def next(self, asked: Asked) -> Reply:
        from llm.scenarios import SCENARIOS

        play = SCENARIOS[self.play] if isinstance(self.play, str) else self.play
        if isinstance(play, list):
            return play[min(asked.number, len(play) - 1)]
        return play(asked) if callable(play) else play

    def record(self, path: str, headers: dict[str, str], raw: bytes) -> Asked:
        body = json.loads(raw)
        with self._lock:
            into = self.counted if path.endswith("/count_tokens") else self.asked
            asked = Asked(len(into), path, headers, raw, body)
            into.append(asked)
        return asked

    def faults(self, asked: Asked) -> Refuse | None:
        """How the real API would refuse it, or one that lacks something."""
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return Refuse(401, "authentication_error", f"invalid key: {asked.headers.get('authorization')}")
        if "anthropic-version" not in asked.headers:
            return Refuse(400, "invalid_request_error", "anthropic-version: header is required")
        counting = asked.path.endswith("/count_tokens")
        if counting and "counting" in self.lacks:
            return Refuse(404, "not_found_error", "no such path")
        try:
            wire_rules.check(asked.body, counting=counting, thoughts=self.thoughts, paused=self.paused)
        except wire_rules.Refused as refused:
            if self.strict:
                self.refused.append(str(refused))
                return Refuse(400, "invalid_request_error", str(refused))
        for feature in self.lacks & _uses(asked.body):
            return Refuse(400, "invalid_request_error", f"{feature} is not supported")
        return None

    def usage(self, asked: Asked, said: Say) -> dict[str, int]:
        prefix = asked.prefix
        size, rest = len(prefix) // 4, (len(asked.raw) - len(prefix)) // 4
        marked = b'"cache_control"' in prefix
        with self._lock:
            hit = marked and prefix in self.cached
            if marked:
                self.cached.add(prefix)
        out = len(json.dumps(said.blocks)) // 4
        return {
            "input_tokens": rest + (0 if marked else size), "output_tokens": out,
            "cache_read_input_tokens": size if hit else 0, "cache_creation_input_tokens": size if marked and not hit else 0,
        }  # fmt: skip


def _uses(body: dict[str, Any]) -> set[str]:
    config, tools, written = body.get("output_config", {}), body.get("tools", []), json.dumps(body)
    found = {
        "strict": any("strict" in tool for tool in tools), "output_format": "format" in config, "effort": "effort" in config,
        "cache": '"cache_control"' in written, "thinking": '"type": "thinking"' in written, "tools": bool(tools),
    }  # fmt: skip
    return {name for name, used in found.items() if used}


def events(said: Say, asked: Asked, usage: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A reply as the events of a stream."""
    begun = {**usage, "output_tokens": 1}
    yield "message_start", {"message": {
        "id": f"msg_{asked.number:04}", "type": "message", "role": "assistant", "model": asked.body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": begun,
    }}  # fmt: skip
    yield "ping", {}
    for index, block in enumerate(said.blocks):
        yield from _block(index, block, asked, whole=said.whole)
    calls = any(block["type"] == "tool_use" for block in said.blocks)
    stop = said.stop or ("tool_use" if calls else "end_turn")
    yield "message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage}
    yield "message_stop", {}


def _block(index: int, block: dict[str, Any], asked: Asked, *, whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    begin, deltas = dict(block), []
    match block["type"]:
        case "text":
            begin["text"] = ""
            begin["citations"] = None
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"], whole)]
        case "tool_use":
            written = begin.pop("written", None)
            written = json.dumps(block["input"]) if written is None else written
            begin = {
                **begin,
                "input": {},
                "id": block["id"] or f"toolu_{asked.number}_{index}",
                "caller": {"type": "direct"},
            }
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *_pieces(written, whole)]]
        case "thinking":
            begin = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"], whole)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
    yield "content_block_start", {"index": index, "content_block": begin}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def _pieces(written: str, whole: bool) -> list[str]:
    size = max(1, len(written)) if whole else 24
    return [written[at : at + size] for at in range(0, len(written), size)]


def framed(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    owner: ModelServer

    def handle_error(self, *_: object) -> None:
        """A client that has gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        owner = self.server.owner
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.split("?")[0]
        if path not in ("/v1/messages", "/v1/messages/count_tokens"):
            self._refuse(Refuse(404, "not_found_error", f"no such path: {path}"))
            return
        asked = owner.record(path, {key.lower(): value for key, value in self.headers.items()}, raw)
        if (fault := owner.faults(asked)) is not None:
            self._refuse(fault)
        elif path.endswith("/count_tokens"):
            self._answer(200, json.dumps({"input_tokens": len(raw) // 4}).encode(), {})
        else:
            with suppress(BrokenPipeError, ConnectionError):
                self._play(owner.next(asked), asked)

    def _play(self, reply: Reply, asked: Asked) -> None:
        match reply:
            case Refuse():
                self._refuse(reply)
            case Say():
                self._say(reply, asked)
            case Raw():
                self._raw(reply)
            case Hang():
                self._hang(reply)

    def _say(self, reply: Say, asked: Asked) -> None:
        owner = self.server.owner
        owner.thoughts |= {block["signature"] for block in reply.blocks if block["type"] == "thinking"}
        owner.paused = reply.stop == "pause_turn"
        self._head(200, {"content-type": "text/event-stream; charset=utf-8", "request-id": f"req_{asked.number}",
                         "transfer-encoding": "chunked"})  # fmt: skip
        usage = reply.usage if reply.usage is not None else owner.usage(asked, reply)
        for number, (kind, data) in enumerate(events(reply, asked, usage)):
            if number == reply.cut:
                if reply.error:
                    self._chunk(framed("error", {"error": {"type": reply.error[0], "message": reply.error[1]}}))
                if reply.politely or reply.error:
                    self._chunk(b"")
                else:
                    self._reset()
                self.close_connection = True
                return
            for _ in range(reply.pings):
                self._chunk(framed("ping", {}))
            self._chunk(framed(kind, data))
            if reply.pause and owner.closing.wait(reply.pause):
                return
        self._chunk(b"")

    def _raw(self, reply: Raw) -> None:
        length = {"transfer-encoding": "chunked"} if reply.length is None else {"content-length": str(reply.length)}
        self._head(reply.status, {**reply.headers, **length})
        send = self._chunk if reply.length is None else self.wfile.write
        for piece in reply.pieces:
            send(piece)
            if reply.pause and self.server.owner.closing.wait(reply.pause):
                return
        while reply.forever and not self.server.owner.closing.wait(reply.pause):
            send(reply.pieces[-1])
        if reply.length is None:
            self._chunk(b"")
        else:
            self.close_connection = True

    def _hang(self, reply: Hang) -> None:
        self.close_connection = True
        if reply.reset:
            self._reset()
            return
        head = b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 100_000
        for byte in head if reply.drip else ():
            self.wfile.write(bytes([byte]))
            if self.server.owner.closing.wait(reply.drip):
                return
        self.server.owner.closing.wait()

    def _refuse(self, reply: Refuse) -> None:
        told = {"type": "error", "error": {"type": reply.kind, "message": reply.message}, "request_id": "req_refused"}
        self._answer(reply.status, json.dumps(told).encode(), reply.headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {"content-type": "application/json", "content-length": str(len(body)), **headers})
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


if __name__ == "__main__":
    # PYTHONPATH=tests python -m llm.model_server [SCENARIO]: for trying a chat by hand
    import sys

    from llm.model_server import ModelServer as Server  # one module, whichever way it was started

    with Server(sys.argv[1] if len(sys.argv) > 1 else "helpful") as running:
        print(f"models: {{base_url: {running.url}}}\nexport ANTHROPIC_API_KEY={KEY}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
