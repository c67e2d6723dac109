"""Our canonical JSON against an independent implementation of RFC 8785."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.canonical import Json, NotCanonical, canonical, digest, sha256_hex

SETTINGS = settings(deadline=None)  # a busy machine is no failure

texts = st.text(st.characters(codec="utf-8"))
keys = st.text(st.characters(max_codepoint=127), max_size=8)
integers = st.integers(-(2**53) + 1, 2**53 - 1)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=30,
)


@SETTINGS
@given(values)
def test_it_agrees_with_an_independent_implementation(value: Json) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@SETTINGS
@given(values)
def test_it_reads_back_as_the_same_value(value: Json) -> None:
    assert json.loads(canonical(value)) == value


@SETTINGS
@given(st.dictionaries(keys, values, min_size=2, max_size=5))
def test_the_order_of_keys_makes_no_difference(value: dict[str, Json]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@SETTINGS
@given(values)
def test_a_digest_is_the_hash_of_the_canonical_bytes(value: Json) -> None:
    assert digest(value) == sha256_hex(canonical(value)) == hashlib.sha256(rfc8785.dumps(value)).hexdigest()


@pytest.mark.parametrize(
    "text", ["\x00\x1f\x7f\x80", '"\\/\b\f\n\r\t', "\u2028\u2029", "\ufeff", "\U0001f6a2", "é", "e\u0301", "</script>"]
)
def test_awkward_characters_are_written_as_the_rfc_says(text: str) -> None:
    assert canonical({"a": text}) == rfc8785.dumps({"a": text})


class Shouting(str):
    __slots__ = ()


class Many(int):
    pass


@pytest.mark.parametrize(
    "value",
    [
        1.0, 0.5, float("nan"), float("inf"), 2**53, -(2**53), 10**30, "\ud800", {"a": ["\udfff"]}, {"é": 1}, {1: "a"},
        {None: 1}, {True: 1}, (1, 2), {1, 2}, b"bytes", object(), Shouting("a"), Many(3), {Shouting("a"): 1}, [[[1.5]]],
    ],
)  # fmt: skip
def test_what_has_no_canonical_form_here_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)
    with pytest.raises(NotCanonical):
        canonical({"deep": [{"inside": value}]})
