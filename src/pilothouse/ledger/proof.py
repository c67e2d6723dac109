"""A quick proof that an entry's bytes are the one canonical form of what they say.

Verification reads whole histories, and Python's own JSON parser alone takes longer than the budget of all of it
(docs/performance.md). msgspec reads the bytes into the envelope's types and writes them again: bytes that come back the
same had no key twice, no other order of keys, no float, no large integer, no other escape. What this cannot show (a
payload deeper than ``_DEPTH``, any fault) is left to the exact and slow judgement of ``chain``, so this can only say
yes where that says yes; a property test compares the two.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any

import msgspec

from pilothouse.canonical import LIMIT

_DEPTH = 6  # of a payload; the type of a value doubles with each
# From a character that is not ASCII to the end of its string; where a colon follows, that string is a key.
# Canonical JSON has no spaces and no raw line ends.
_REST_OF_STRING = re.compile(rb'[\x80-\xff][^"\\]*+(?:\\.[^"\\]*+)*+"(:?)')


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """The envelope of an entry, its fields in their canonical order."""

    at: str
    chain: str
    data: dict[str, Any]
    kind: str
    prev: str
    run: str
    seq: int
    v: int


@cache
def _codec() -> tuple[msgspec.json.Decoder[Entry], msgspec.json.Encoder]:
    integer = Annotated[int, msgspec.Meta(gt=-LIMIT, lt=LIMIT)]
    value: Any = integer | str | bool | None
    for _ in range(_DEPTH):
        value = integer | str | bool | list[value] | dict[str, value] | None
    fields = [("data", dict[str, value]), ("seq", integer), ("v", integer)]
    exact = msgspec.defstruct("ExactEntry", fields, bases=(Entry,), forbid_unknown_fields=True)
    return msgspec.json.Decoder(exact), msgspec.json.Encoder(order="sorted")


def proven(data: bytes) -> Entry | None:
    """The entry that these bytes are the canonical form of; None where that is not shown."""
    decoder, encoder = _codec()
    try:
        entry = decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if encoder.encode(entry) != data:
        return None
    if not data.isascii() and b":" in _REST_OF_STRING.findall(data):
        return None
    return entry
