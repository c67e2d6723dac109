"""A stream of events becomes a reply, or nothing: strict where the SDK is lenient.

The SDK's own accumulation reads a tool's input as far as it parses and takes a broken end for a whole value, reads the
whole input again with every piece of it, and ends the stream at the first input that does not parse. Here the pieces
are joined once, when their block is whole, and parsed strictly; the other blocks of the reply stay good.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn, cast

from pilothouse.canonical import LIMIT, Json, NotCanonical, canonical
from pilothouse.llm.limits import Unfit
from pilothouse.ports import Answer, Usage, nobody_hears

STOPS = frozenset({
    "end_turn", "tool_use", "max_tokens", "pause_turn", "refusal", "model_context_window_exceeded", "stop_sequence",
})  # fmt: skip
MALFORMED = "malformed_input"  # the one key of a tool's input that could not be taken
DEEPEST = 32  # levels of a tool's input
_MOST_BLOCKS = 500
_ID, _NAME = re.compile(r"[A-Za-z0-9_-]{1,128}"), re.compile(r"[A-Za-z0-9_.-]{1,128}")
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_PIECES = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "tool_use"}


class _Refused(ValueError):
    """Why a tool's input cannot be taken."""


class Reply:
    """What has come of a reply so far. ``hear`` gets text as it comes; only ``whole`` gives something to be used.

    Attributes:
        begun: a reply began to come.
    """

    def __init__(self, model: str, hear: Callable[[str], None] = nobody_hears) -> None:
        self._model, self._hear = model, hear
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, list[str]] = {}  # of the blocks that are open
        self._stop: str | None = None
        self._counts = dict.fromkeys(_COUNTS, 0)
        self.begun = self._ended = False

    def take(self, event: Any) -> None:
        """One event of the SDK's stream. Raises Unfit."""
        kind = getattr(event, "type", None)
        if kind == "content_block_delta":  # first: nearly all events are
            self._add(event.index, event.delta)
        elif kind == "content_block_start":
            self._open(event.index, event.content_block)
        elif kind == "content_block_stop":
            self._close(event.index)
        elif kind == "message_start":
            self._begin(event.message)
        elif kind == "message_delta":
            self._count(getattr(event, "usage", None))
            self._stop = getattr(event.delta, "stop_reason", None)
        elif kind == "message_stop":
            self._ended = True
        # Another event is of a later version of the protocol, which says to pass over it.

    def whole(self) -> Answer | None:
        """The reply; None where the stream ended before it was whole. Raises Unfit."""
        if not self.begun or not self._ended or self._pieces or self._stop is None:
            return None
        if self._stop not in STOPS:
            raise Unfit("a stop reason that is not known")
        blocks = [block for _, block in sorted(self._blocks.items()) if block != {"type": "text", "text": ""}]
        ids = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(set(ids)) < len(ids):
            raise Unfit("two tool calls of one id")
        read, written = self._counts["cache_read_input_tokens"], self._counts["cache_creation_input_tokens"]
        usage = Usage(self._counts["input_tokens"], self._counts["output_tokens"], read, written)
        return Answer(tuple(blocks), self._stop, self._model, usage)

    def _begin(self, message: Any) -> None:
        if self.begun:
            raise Unfit("a second beginning")
        self.begun = True
        model = getattr(message, "model", None)
        if isinstance(model, str) and model and model.isprintable():
            self._model = model[:200]
        self._count(getattr(message, "usage", None))

    def _count(self, usage: Any) -> None:
        for name in _COUNTS:
            found = getattr(usage, name, None)
            if found is None:
                continue
            # A budget is kept with these: nothing may count backwards.
            if type(found) is not int or not 0 <= found < LIMIT:
                raise Unfit(f"{name} that are no number")
            self._counts[name] = found

    def _open(self, index: Any, block: Any) -> None:
        if not self.begun or type(index) is not int or index in self._blocks or len(self._blocks) >= _MOST_BLOCKS:
            raise Unfit("a block where none can begin")
        wire = block.to_dict() if hasattr(block, "to_dict") else block
        if not isinstance(wire, dict):
            raise Unfit("a block that is none")
        self._blocks[index] = _begun(wire)
        self._pieces[index] = []
        if wire.get("type") == "text" and wire.get("text"):
            self._hear(wire["text"])

    def _add(self, index: Any, delta: Any) -> None:
        pieces = self._pieces.get(index)
        if pieces is None:
            raise Unfit("a piece of no block")
        block, kind = self._blocks[index], getattr(delta, "type", None)
        if kind == "signature_delta" and block["type"] == "thinking":
            block["signature"] = _text(delta.signature)
        elif kind in _DELTAS:
            if block["type"] != _DELTAS[kind]:
                raise Unfit("a piece of another kind than its block")
            piece = _text(getattr(delta, _PIECES[block["type"]], None))
            pieces.append(piece)
            if kind == "text_delta" and piece:
                self._hear(piece)

    def _close(self, index: Any) -> None:
        pieces = self._pieces.pop(index, None)
        if pieces is None:
            raise Unfit("an end of no block")
        block, joined = self._blocks[index], "".join(pieces)
        match block["type"]:
            case "text" | "thinking" as kind:
                block[kind] += joined
            case "tool_use":
                block["input"] = tool_input(joined) if joined.strip() else _held(block["input"])
        try:
            canonical(block)
        except (NotCanonical, RecursionError):
            raise Unfit("a block that is no JSON without fractions") from None


def tool_input(text: str) -> dict[str, Json]:
    """The input of a tool call; ``{"malformed_input": why}`` where it is none that a tool could be given.

    A fraction is refused, not rounded: no tool takes one, and what is journalled holds none.
    """
    try:
        found = json.loads(
            text, parse_float=_fraction, parse_constant=_fraction, object_pairs_hook=_once
        )  # fmt: skip
    except _Refused as refused:
        return {MALFORMED: str(refused)}
    except (ValueError, RecursionError):
        return {MALFORMED: "it is not JSON"}
    return _held(found)


def _held(found: Any) -> dict[str, Json]:
    if not isinstance(found, dict):
        return {MALFORMED: "it is not an object"}
    try:
        if _deeper(found, DEEPEST):
            return {MALFORMED: f"it is more than {DEEPEST} levels deep"}
        canonical(found)
    except RecursionError:
        return {MALFORMED: f"it is more than {DEEPEST} levels deep"}
    except NotCanonical:
        return {MALFORMED: "it holds a fraction, an integer beyond 53 bits, a key that is not ASCII, or broken text"}
    return cast("dict[str, Json]", found)


def _deeper(found: Any, levels: int) -> bool:
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return any(levels <= 1 or _deeper(item, levels - 1) for item in inner if isinstance(item, (dict, list)))


def _fraction(_text: str) -> NoReturn:
    raise _Refused("it holds a number with a fraction or an exponent, and no tool takes one")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("it names a key twice")
    return found


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise Unfit("a piece that is no text")
    return found


def _begun(wire: dict[str, Any]) -> dict[str, Any]:
    """A block as the API takes it back: what only a reply has (citations of nothing, who called) is left out."""
    match wire.get("type"):
        case "text":
            return {"type": "text", "text": _text(wire.get("text", ""))}
        case "thinking":
            found = _text(wire.get("thinking", ""))
            return {"type": "thinking", "thinking": found, "signature": _text(wire.get("signature", ""))}
        case "redacted_thinking":
            return {"type": "redacted_thinking", "data": _text(wire.get("data", ""))}
        case "tool_use":
            identity, name = wire.get("id"), wire.get("name")
            if not isinstance(identity, str) or _ID.fullmatch(identity) is None:
                raise Unfit("a tool call without an id that can be answered")
            if not isinstance(name, str) or _NAME.fullmatch(name) is None:
                raise Unfit("a tool call without a name")
            return {"type": "tool_use", "id": identity, "name": name, "input": wire.get("input") or {}}
        case str() as kind if kind.isascii() and kind.isidentifier():
            return wire  # of a tool that runs at the endpoint: none was asked for, and a pause must carry it back
    raise Unfit("a block of no kind")
