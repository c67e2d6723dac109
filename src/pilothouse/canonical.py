"""Canonical JSON and digests.

Events hold no floats, only ASCII keys and integers below 2**53, so sorted standard-library JSON is RFC 8785
(a property test compares it with an independent implementation).
"""

from __future__ import annotations

import hashlib
import json
from typing import TypeAlias, cast

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

LIMIT = 2**53
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


class NotCanonical(ValueError):
    """The value cannot be written as canonical JSON (a float, a large integer, a key that is not ASCII)."""


def _check(value: object) -> None:
    # Exact types only: a bool is an int, a str subclass may print otherwise than it compares.
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if not -LIMIT < cast("int", value) < LIMIT:
            raise NotCanonical(f"integer {value} does not fit into 53 bits")
    elif kind is dict:
        for key, item in cast("dict[object, object]", value).items():
            if type(key) is not str or not key.isascii():
                raise NotCanonical(f"key {key!r} is not an ASCII string")
            _check(item)
    elif kind is list:
        for item in cast("list[object]", value):
            _check(item)
    else:
        raise NotCanonical(f"{kind.__name__} has no canonical form here")


def canonical(value: Json) -> bytes:
    """The RFC 8785 bytes of a value made of None, bool, int, str, list and dict.

    Raises:
        NotCanonical: for floats, integers of 2**53 and more, keys that are not ASCII, lone surrogates.
    """
    _check(value)
    try:
        return _encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical(f"text holds a lone surrogate at {error.start}") from error


def sha256_hex(data: bytes) -> str:
    """Lower-case hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Json) -> str:
    """SHA-256 over the canonical JSON of a value, as 64 lower-case hexadecimal digits."""
    return sha256_hex(canonical(value))
