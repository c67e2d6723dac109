"""Every kind of event survives the ledger unchanged; what is not understood whole is refused (I32)."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.canonical import Json, canonical
from pilothouse.errors import LedgerCorrupt
from pilothouse.events import Fact, fact_from_json, fact_to_json

SETTINGS = settings(deadline=None, max_examples=15)  # a busy machine is no failure

KINDS: tuple[type[Any], ...] = get_args(Fact)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=5)
plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, plain, max_size=3)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "str": texts,
    "int": st.integers(0, 2**53 - 1),
    "bool": st.booleans(),
    "str | None": st.none() | texts,
    "JsonObject": objects,
    "tuple[str, ...]": st.lists(texts, max_size=3).map(tuple),
    "tuple[JsonObject, ...]": st.lists(objects, max_size=3).map(tuple),
}


def made(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: FIELDS[str(field.type)] for field in dataclasses.fields(kind)})


def test_there_are_kinds() -> None:
    assert len(KINDS) >= 27
    assert len({kind.__name__ for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@SETTINGS
@given(data=st.data())
def test_every_kind_survives_the_ledger(kind: type[Any], data: st.DataObject) -> None:
    fact = data.draw(made(kind))
    stored = json.loads(canonical(fact_to_json(fact)))
    again = fact_from_json(kind.__name__, stored)
    assert again == fact
    assert type(again) is kind
    assert all(
        type(getattr(again, field.name)) is type(getattr(fact, field.name)) for field in dataclasses.fields(kind)
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@SETTINGS
@given(data=st.data())
def test_a_missing_or_unknown_field_is_refused(kind: type[Any], data: st.DataObject) -> None:
    payload = fact_to_json(data.draw(made(kind)))
    gone = data.draw(st.sampled_from(sorted(payload)))
    short = {name: value for name, value in payload.items() if name != gone}
    for spoilt in (short, payload | {"colour": "blue"}, {}):
        with pytest.raises(LedgerCorrupt) as caught:
            fact_from_json(kind.__name__, spoilt)
        assert caught.value.reason_code == "ledger-malformed"


WRONG: dict[str, tuple[Any, ...]] = {
    "str": (None, 1, True, 1.5, [], {}),
    "int": (None, "1", True, 1.5, []),
    "bool": (None, 0, 1, "true"),
    "str | None": (1, False, [], {}),
    "JsonObject": (None, "a", 1, []),
    "tuple[str, ...]": (None, "a", {}, [1], ["a", None]),
    "tuple[JsonObject, ...]": (None, {}, ["a"], [{}, []]),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@SETTINGS
@given(data=st.data())
def test_a_wrong_type_is_refused(kind: type[Any], data: st.DataObject) -> None:
    payload = fact_to_json(data.draw(made(kind)))
    field = data.draw(st.sampled_from(dataclasses.fields(kind)))
    for wrong in WRONG[str(field.type)]:
        with pytest.raises(LedgerCorrupt) as caught:
            fact_from_json(kind.__name__, payload | {field.name: wrong})
        assert caught.value.reason_code == "ledger-malformed"
        assert field.name in caught.value.message


@pytest.mark.parametrize("kind", ["", "Unknown", "started", "Event", "Fact", "object"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(LedgerCorrupt) as caught:
        fact_from_json(kind, {})
    assert caught.value.reason_code == "ledger-unknown-kind"


@pytest.mark.parametrize("payload", [None, [], "text", 1, True])
def test_a_payload_that_is_no_object_is_refused(payload: Json) -> None:
    with pytest.raises(LedgerCorrupt):
        fact_from_json("Skipped", payload)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_facts_are_frozen_and_made_of_types_the_ledger_can_hold(kind: type[Any]) -> None:
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
    assert all(str(field.type) in FIELDS for field in dataclasses.fields(kind))
    assert typing.get_type_hints(kind)
