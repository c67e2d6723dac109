"""The ledger suite: ten thousand sound ledgers verify, and of ten thousand that were tampered with each one is told.

A ledger is an exported chain: the bytes of its file, as a machine that never saw the database has them. Whoever tampers
may recompute every hash; a head that was noted before then tells, and only signatures tell who signed.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from hashlib import sha256

import pytest

from pilothouse.events import Skipped
from pilothouse.ledger.chain import GENESIS, encode
from pilothouse.ledger.prove import proved
from pilothouse_tools import envelope

MUTATIONS = VALID = 10_000
LONGEST = 12
WORDS = ("ship", "hold", "é", 'q"uote', "\\", "\u2028", "", "go go", "{}", "0")
AT = "2026-11-21T09:41:{:02d}.000000+00:00"


def ledger(chance: random.Random, least: int = 3) -> list[bytes]:
    """The lines of a sound chain."""
    lines, prev = [], GENESIS
    for seq in range(1, chance.randint(least, LONGEST) + 1):
        fact = Skipped(chance.choice(WORDS), chance.choice(WORDS))
        data, prev = encode(chain="acme", seq=seq, prev=prev, run="r-1", at=AT.format(seq), fact=fact)
        lines.append(data)
    return lines


def rechained(lines: list[bytes], start: int) -> list[bytes]:
    """The lines with each `prev` made to fit from one on, as somebody would who knows how hashes work."""
    made = list(lines)
    for at in range(max(start, 1), len(made)):
        entry = json.loads(made[at])
        entry["prev"] = sha256(made[at - 1]).hexdigest()
        made[at] = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return made


def edit_byte(chance, lines):
    at = chance.randrange(len(lines))
    line = bytearray(lines[at])
    where = chance.randrange(len(line))
    line[where] = chance.choice([byte for byte in range(32, 127) if byte != line[where]])
    return [*lines[:at], bytes(line), *lines[at + 1 :]], at


def edit_fact(chance, lines):
    at = chance.randrange(len(lines))
    entry = json.loads(lines[at])
    field = chance.choice(("at", "run", "kind", "why", "step"))
    holder = entry["data"] if field in entry["data"] else entry
    holder[field] = {"kind": "Rejected", "run": "r-2", "at": AT.format(59)}.get(field, holder[field] + "x")
    changed = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return [*lines[:at], changed, *lines[at + 1 :]], at


def drop(chance, lines):
    at = chance.randrange(len(lines))
    return [*lines[:at], *lines[at + 1 :]], at


def swap(chance, lines):
    one, other = sorted(chance.sample(range(len(lines)), 2))
    made = list(lines)
    made[one], made[other] = made[other], made[one]
    return made, one


def truncate(chance, lines):
    kept = chance.randrange(len(lines))
    return lines[:kept], kept


def fork(chance, lines):
    """Another entry of the same number beside one that is there."""
    at = chance.randrange(len(lines))
    entry = json.loads(lines[at])
    entry["data"]["why"] = entry["data"]["why"] + " otherwise"
    other = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return [*lines[: at + 1], other, *lines[at + 1 :]], at


def repeat(chance, lines):
    at = chance.randrange(len(lines))
    return [*lines[: at + 1], *lines[at:]], at


def rewrite(chance, lines):
    """A whole other history from one entry on, every hash of it right."""
    at = chance.randrange(len(lines))
    changed, _ = edit_fact(chance, [lines[at]])
    return rechained([*lines[:at], *changed, *lines[at + 1 :]], at + 1), at


def renumber(chance, lines):
    """An entry dropped, and every number and hash after it made to fit."""
    at = chance.randrange(len(lines))
    made = [*lines[:at], *lines[at + 1 :]]
    for where in range(at, len(made)):
        entry = json.loads(made[where])
        entry["seq"] = where + 1
        entry["prev"] = sha256(made[where - 1]).hexdigest() if where else GENESIS
        made[where] = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return made, at


# What tells without anything that was noted before; a tail that is missing, or was written anew, needs a known head.
KNOWN_HEAD = (truncate, rewrite, renumber)
ALWAYS = (edit_byte, edit_fact, drop, swap, fork, repeat)


def written(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def test_ten_thousand_sound_ledgers_verify():
    chance = random.Random(20261121)
    seen = set()
    while len(seen) < VALID:
        whole = ledger(chance, LONGEST)
        for length in range(1, LONGEST + 1):  # a chain's beginning is a chain
            lines = whole[:length]
            last, noted = (sha256(lines[at]).hexdigest() for at in (-1, chance.randrange(length)))
            found = proved("acme", written(lines), chance.choice((last, noted, "")))
            assert found.found.ok, found.found.problems
            assert len(found.events) == length
            seen.add(last)
    assert len(seen) >= VALID


def test_of_ten_thousand_tampered_ledgers_each_is_told():
    chance = random.Random(1121)
    seen = Counter()
    while seen.total() < MUTATIONS:
        lines = ledger(chance)
        head = sha256(lines[-1]).hexdigest()
        for _ in range(10):
            mutate = chance.choice((*ALWAYS, *KNOWN_HEAD))
            spoilt, at = mutate(chance, lines)
            if spoilt == lines:
                continue
            found = proved("acme", written(spoilt), head).found
            assert not found.ok, (mutate.__name__, at, spoilt)
            # Without the head, too, unless all that follows was cut off or written anew, the last entry included.
            if mutate in ALWAYS and at < len(lines) - 1:
                assert not proved("acme", written(spoilt), "").found.ok, (mutate.__name__, at, spoilt)
            seen[mutate.__name__] += 1
    assert set(seen) == {mutate.__name__ for mutate in (*ALWAYS, *KNOWN_HEAD)} and min(seen.values()) > 500


def test_what_was_edited_is_named_by_its_number():
    chance = random.Random(7)
    for _ in range(200):
        lines = ledger(chance, 4)
        at = chance.randrange(len(lines) - 1)
        changed, _ = edit_fact(chance, [lines[at]])
        found = proved("acme", written([*lines[:at], *changed, *lines[at + 1 :]]), "").found
        assert {(problem.seq, problem.kind) for problem in found.problems} == {(at + 1, "edited")}


@pytest.fixture(scope="module")
def keys():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made = [Ed25519PrivateKey.generate() for _ in range(2)]
    return [(key, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()) for key in made]


def sealed(payload: bytes, key, keyid: str) -> bytes:
    signature = base64.b64encode(key.sign(envelope.pae(payload))).decode()
    return json.dumps({
        "payload": base64.b64encode(payload).decode(), "payloadType": envelope.PAYLOAD_TYPE,
        "signatures": [{"keyid": keyid, "sig": signature}],
    }).encode()  # fmt: skip


def test_a_history_that_was_signed_anew_with_another_key_is_told(keys):
    """Whoever rewrites the ledger and the record that anchors it must sign the record, and has not the key."""
    (mine, public), (theirs, other) = keys
    chance = random.Random(35)
    told = Counter()
    for _ in range(1_000):
        lines = ledger(chance)
        head = sha256(lines[-1]).hexdigest().encode()
        assert envelope.verified(sealed(head, mine, envelope.fingerprint(public)), public, {}) == head
        spoilt, _ = rewrite(chance, lines)
        anchor = sha256(spoilt[-1]).hexdigest().encode()
        claimed = chance.choice((envelope.fingerprint(public), envelope.fingerprint(other)))
        forged = sealed(anchor, theirs, claimed)
        assert envelope.verified(forged, public, {}) is None
        kept = json.loads(sealed(head, mine, envelope.fingerprint(public)))
        kept["payload"] = base64.b64encode(anchor).decode()  # the right signature, of something else
        assert envelope.verified(json.dumps(kept).encode(), public, {}) is None
        told[claimed] += 1
    assert len(told) == 2
