"""The verifier finds every way of tampering that a chain can show, and nothing in a sound one (I34)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from pilothouse.errors import LedgerCorrupt, LedgerError
from pilothouse.events import Fact, Judged, Skipped
from pilothouse.ledger.chain import GENESIS, Row, Verification, _examined, decode, encode, verify
from pilothouse.ledger.proof import Entry, proven

SETTINGS = settings(deadline=None)  # a busy machine is no failure

AT = "2026-11-21T09:41:00.000000+00:00"
words = st.text(st.characters(codec="utf-8"), max_size=30)
facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(Skipped, step=words, why=words),
    st.builds(
        Judged,
        step=words,
        gate=words,
        passed=st.booleans(),
        reason_code=words,
        message=words,
        evidence=st.lists(words, max_size=3).map(tuple),
    ),
)


def chained(items: list[Fact], chain: str = "acme") -> list[Row]:
    rows: list[Row] = []
    prev = GENESIS
    for seq, fact in enumerate(items, 1):
        data, entry_hash = encode(chain=chain, seq=seq, prev=prev, run="r-1", at=AT, fact=fact)
        rows.append((seq, entry_hash, data))
        prev = entry_hash
    return rows


chains = st.lists(facts, min_size=2, max_size=150).map(chained)


def kinds(found: Verification) -> set[str]:
    return {problem.kind for problem in found.problems}


def sealed(entry: dict[str, object], **dump: object) -> Row:
    data = json.dumps(entry, **{"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False} | dump).encode()  # type: ignore[arg-type]
    seq = entry["seq"]
    assert isinstance(seq, int)
    return (seq, hashlib.sha256(data).hexdigest(), data)


@SETTINGS
@given(chains, st.data())
def test_a_sound_chain_verifies_against_each_of_its_heads(rows: list[Row], data: st.DataObject) -> None:
    assert verify(rows, "acme") == Verification(ok=True, entries=len(rows), head=rows[-1][1], problems=())
    noted = data.draw(st.sampled_from(rows))
    found = verify(iter(rows), "acme", noted[1])
    assert (found.ok, found.anchor) == (True, noted[0])


def test_an_empty_chain_verifies_and_contains_no_head() -> None:
    assert verify([], "acme") == Verification(ok=True, entries=0, head=GENESIS, problems=())
    assert verify([], "acme", GENESIS).ok
    assert kinds(verify([], "acme", "ab" * 32)) == {"head-missing"}


@SETTINGS
@given(chains, st.data())
def test_every_change_of_a_byte_is_found(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    seq, entry_hash, entry = rows[index]
    place = data.draw(st.integers(0, len(entry) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(byte != entry[place])
    rows[index] = (seq, entry_hash, entry[:place] + bytes([byte]) + entry[place + 1 :])
    found = verify(rows, "acme")
    assert not found.ok
    assert (seq, "edited") in {(problem.seq, problem.kind) for problem in found.problems}


@SETTINGS
@given(chains, facts, st.data())
def test_an_edit_whose_hash_was_corrected_is_found(rows: list[Row], other: Fact, data: st.DataObject) -> None:
    head = rows[-1][1]
    index = data.draw(st.integers(0, len(rows) - 1))
    seq, _, entry = rows[index]
    found = decode(entry)
    assume(found.fact != other)
    forged, forged_hash = encode(chain="acme", seq=seq, prev=found.prev, run="r-1", at=AT, fact=other)
    rows[index] = (seq, forged_hash, forged)
    assert not verify(rows, "acme", head).ok
    if index < len(rows) - 1:  # the last entry needs a noted head
        assert kinds(verify(rows, "acme")) == {"relinked"}


@SETTINGS
@given(chains, facts, st.data())
def test_a_chain_written_anew_from_an_edit_on_is_found_by_a_noted_head(
    rows: list[Row], other: Fact, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    items = [decode(entry).fact for _, _, entry in rows]
    assume(items[index] != other)
    forged = chained([*items[:index], other, *items[index + 1 :]])
    assert verify(forged, "acme").ok  # by itself it is a sound chain: this is why heads are noted elsewhere
    assert kinds(verify(forged, "acme", rows[-1][1])) == {"head-missing"}


@SETTINGS
@given(chains, st.data())
def test_a_dropped_entry_is_found(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 2))
    del rows[index]
    assert "dropped" in kinds(verify(rows, "acme"))


@SETTINGS
@given(chains, st.data())
def test_a_dropped_entry_whose_followers_were_renumbered_is_found(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 2))
    del rows[index]
    rows = [(seq, entry_hash, entry) for seq, (_, entry_hash, entry) in enumerate(rows, 1)]
    assert not verify(rows, "acme").ok


@SETTINGS
@given(chains, st.data())
def test_a_cut_tail_is_found_by_a_noted_head(rows: list[Row], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(rows) - 1))
    found = verify(rows[:kept], "acme", rows[-1][1])
    assert kinds(found) == {"head-missing"}
    assert found.entries == kept


@SETTINGS
@given(chains, st.data())
def test_swapped_entries_are_found(rows: list[Row], data: st.DataObject) -> None:
    one, other = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=2, max_size=2, unique=True))
    renumber = data.draw(st.booleans())
    rows[one], rows[other] = rows[other], rows[one]
    if renumber:
        rows = [(seq, entry_hash, entry) for seq, (_, entry_hash, entry) in enumerate(rows, 1)]
    found = verify(rows, "acme")
    assert "reordered" in kinds(found)


@SETTINGS
@given(chains, facts, st.data())
def test_a_fork_is_found(rows: list[Row], other: Fact, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    seq, _, entry = rows[index]
    fork, fork_hash = encode(chain="acme", seq=seq, prev=decode(entry).prev, run="r-2", at=AT, fact=other)
    rows.insert(index + 1, (seq, fork_hash, fork))
    assert "duplicate" in kinds(verify(rows, "acme"))


@SETTINGS
@given(chains, st.data())
def test_an_entry_of_another_chain_is_found(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    foreign = chained([decode(entry).fact for _, _, entry in rows], "beta")
    rows[index] = foreign[index]
    assert "foreign" in kinds(verify(rows, "acme"))
    assert kinds(verify(foreign, "acme")) == {"foreign"}


SOUND: dict[str, object] = {
    "at": AT, "chain": "acme", "data": {"step": "s", "why": "w"}, "kind": "Skipped", "prev": GENESIS, "run": "r", "seq": 1,
    "v": 1,
}  # fmt: skip


def test_the_row_that_the_next_tests_spoil_is_sound() -> None:
    assert verify([sealed(SOUND)], "acme").ok
    assert verify([sealed(SOUND | {"run": 'a "quoted" run\n'})], "acme").ok


@pytest.mark.parametrize(
    "row",
    [
        sealed(SOUND, separators=(", ", ":")),
        sealed(SOUND, separators=(",", ": ")),
        sealed(dict(reversed(list(SOUND.items()))), sort_keys=False),
        sealed(SOUND | {"run": "ü"}, ensure_ascii=True),
        sealed(SOUND | {"data": {"step": "ü", "why": "w"}}, ensure_ascii=True),
        sealed(SOUND | {"data": {"why": "w", "step": "s"}}, sort_keys=False),
        sealed(SOUND | {"data": {"ß": "s"}}),
        sealed(SOUND | {"extra": 1}),
        sealed({key: value for key, value in SOUND.items() if key != "run"}),
        sealed(SOUND | {"run": 5}),
        sealed(SOUND | {"run": None}),
        sealed(SOUND | {"data": []}),
        sealed(SOUND | {"data": {"a": "\ud800"}}, ensure_ascii=True),
    ],
)
def test_bytes_that_are_not_canonical_are_found(row: Row) -> None:
    assert kinds(verify([row], "acme")) == {"not-canonical"}
    assert kinds(verify([*chained([Skipped("a", "b")] * 100), row], "acme")) >= {"not-canonical"}
    with pytest.raises(LedgerCorrupt):
        decode(row[2])


scalars = st.one_of(
    st.none(), st.booleans(), st.text(st.characters(codec="utf-8")), st.floats(), st.integers(),
    st.integers(2**53 - 2, 2**53 + 2), st.sampled_from([-(2**53), 1 - 2**53, 2**63, 2**64]),
)  # fmt: skip
payloads = st.dictionaries(
    st.text(),
    st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8),
    max_size=4,
)


@SETTINGS
@given(payloads, st.booleans(), st.booleans(), st.sampled_from([(",", ":"), (", ", ":")]))
def test_the_quick_proof_says_yes_only_where_the_exact_judgement_does(
    payload: dict[str, object], sort: bool, escape: bool, separators: tuple[str, str]
) -> None:
    try:
        _, _, data = sealed(SOUND | {"data": payload}, sort_keys=sort, ensure_ascii=escape, separators=separators)
    except UnicodeEncodeError:
        return
    exact = isinstance(_examined(1, data), Entry)
    assert (proven(data) is not None) == exact  # not deep enough to be left to the exact judgement
    event(f"canonical: {exact}")


@pytest.mark.parametrize("depth", [4, 9, 60])
def test_a_deep_payload_is_judged_as_well(depth: int) -> None:
    deep: object = "x"
    for _ in range(depth):
        deep = {"a": [deep]}
    assert verify([sealed(SOUND | {"data": deep})], "acme").ok
    assert not verify([sealed(SOUND | {"data": deep}, separators=(", ", ":"))], "acme").ok


def test_a_key_that_is_there_twice_is_found() -> None:
    text = sealed(SOUND)[2].replace(b'"step":"s"', b'"step":"x","step":"s"')
    row = (1, hashlib.sha256(text).hexdigest(), text)
    assert kinds(verify([row], "acme")) == {"not-canonical"}


@pytest.mark.parametrize(
    "entry",
    [
        b"", b"{", b"null", b"[]", b"17", b"\xff\xfe", b'{"v":1.0}', b'{"v":NaN}', b'{"v":1e2}', b"[" * 100_000,
        b'{"v":9007199254740993}', b'{"v":1}{"v":1}', b'{"v":1},{"v":1}', b'"v":1', b'{"v":true}', b'{"v":"1"}',
    ],
)  # fmt: skip
def test_what_is_no_entry_is_found_and_its_neighbours_are_still_judged(entry: bytes) -> None:
    rows = chained([Skipped("a", str(number)) for number in range(100)])
    rows[40] = (41, hashlib.sha256(entry).hexdigest(), entry)
    rows[80] = (81, rows[80][1], rows[80][2].replace(b"80", b"08"))
    found = verify(rows, "acme")
    assert {problem.seq for problem in found.problems} == {41, 42, 81}
    with pytest.raises(LedgerCorrupt):
        decode(entry)


def test_a_newer_entry_halts_and_is_no_damage() -> None:
    row = sealed(SOUND | {"v": 2, "colour": "blue"})
    assert kinds(verify([row], "acme")) == {"newer"}
    with pytest.raises(LedgerCorrupt) as caught:
        decode(row[2])
    assert caught.value.reason_code == "ledger-newer"
    assert caught.value.hint


def test_an_older_entry_is_read_through_its_upcast_and_its_bytes_stay() -> None:
    row = sealed(SOUND | {"v": 0, "data": {"step": "s", "reason": "w"}})
    with pytest.raises(LedgerCorrupt):
        decode(row[2])
    found = decode(row[2], upcasts={0: lambda old: {"step": old["step"], "why": old["reason"]}})
    assert found.fact == Skipped(step="s", why="w")
    assert found.hash == row[1]


@SETTINGS
@given(facts)
def test_an_entry_reads_back_as_it_was_written(fact: Fact) -> None:
    data, entry_hash = encode(chain="acme", seq=7, prev="ab" * 32, run="r-1", at=AT, fact=fact)
    found = decode(data)
    assert (found.fact, found.hash, found.seq, found.prev) == (fact, entry_hash, 7, "ab" * 32)
    assert hashlib.sha256(data).hexdigest() == entry_hash


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: Skipped(step="s", why=1.5),  # type: ignore[arg-type]
        lambda: Skipped(step="s", why=None),  # type: ignore[arg-type]
        lambda: Skipped(step="s", why="\ud800"),
        lambda: Judged("s", "g", 1, "r", "m", ()),  # type: ignore[arg-type]
    ],
)
def test_a_fact_that_could_not_be_read_again_is_never_written(spoil: Callable[[], Fact]) -> None:
    with pytest.raises(LedgerError) as caught:
        encode(chain="acme", seq=1, prev=GENESIS, run="r", at=AT, fact=spoil())
    assert caught.value.reason_code == "ledger-bad-fact"


def test_a_ruined_chain_does_not_drown_the_reader() -> None:
    rows = [(seq, "0" * 64, data) for seq, _, data in chained([Skipped("a", "b")] * 1000)]
    assert 100 <= len(verify(rows, "acme").problems) < 110
