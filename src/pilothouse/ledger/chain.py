"""The hash chain: one entry's bytes, and what is wrong with a list of them (I34).

An entry is the canonical JSON (RFC 8785) of ``{at, chain, data, kind, prev, run, seq, v}``; its hash is the SHA-256 of
these bytes. ``prev`` is the hash of the entry before, 64 zeros in the first, so that a hash stands for all that came
before it. Nothing but bytes goes into the verification: it works offline, on an export, years later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from pilothouse.canonical import Json, NotCanonical, canonical
from pilothouse.errors import LedgerCorrupt, LedgerError
from pilothouse.events import VERSION, Event, Fact, fact_from_json, fact_to_json

if TYPE_CHECKING:
    from pilothouse.ledger.proof import Entry

GENESIS = "0" * 64

Row = tuple[int, str, bytes]  # seq, hash, entry as they are stored
Upcast = Callable[[dict[str, Json]], dict[str, Json]]

# From a version to the next: the payload as the newer version would have written it. Stored bytes are never rewritten.
UPCASTS: Mapping[int, Upcast] = {}

_MOST_PROBLEMS = 100
_LONGEST_INTEGER = 16  # digits of 2**53


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not fit, at an entry (0: the chain as a whole).

    ``kind``: edited, dropped, reordered, duplicate, relinked, foreign, malformed, not-canonical, newer, head-missing.
    """

    seq: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found.

    Attributes:
        ok: no problem.
        entries: how many were looked at.
        head: the hash of the last entry, 64 zeros for an empty chain.
        problems: in the order of the entries, bounded.
        anchor: the sequence number of the entry that the given head names (0: genesis); the ledger has grown since by
            ``entries - anchor``. None where no head was given or it was not found.
    """

    ok: bool
    entries: int
    head: str
    problems: tuple[Problem, ...]
    anchor: int | None = None


def encode(*, chain: str, seq: int, prev: str, run: str, at: str, fact: Fact) -> tuple[bytes, str]:
    """The bytes and the hash of one entry.

    Raises:
        LedgerError: ``ledger-bad-fact``: the fact could not be read again: a field of a wrong type, or a value without
            a canonical form; a bug of who made it.
    """
    kind, payload = type(fact).__name__, fact_to_json(fact)
    entry: dict[str, Json] = {
        "at": at,
        "chain": chain,
        "data": payload,
        "kind": kind,
        "prev": prev,
        "run": run,
        "seq": seq,
        "v": VERSION,
    }
    try:
        # An entry that nobody can read would poison its chain for ever; annotations alone do not prevent it.
        fact_from_json(kind, payload)
        data = canonical(entry)
    except (LedgerCorrupt, NotCanonical) as error:
        raise LedgerError("ledger-bad-fact", f"{kind} cannot be written down: {error}") from error
    return data, sha256(data).hexdigest()


def decode(data: bytes, *, upcasts: Mapping[int, Upcast] = UPCASTS) -> Event:
    """The event that an entry's bytes hold, understood whole or not at all (I32).

    Raises:
        LedgerCorrupt: ``ledger-newer``, ``ledger-malformed``, ``ledger-not-canonical``, ``ledger-unknown-kind``.
    """
    try:
        text = data.decode()
        entry = _loads(text)
    except (ValueError, RecursionError) as error:
        raise LedgerCorrupt("ledger-malformed", f"an entry is no JSON of the ledger: {error}") from error
    version = entry.get("v") if isinstance(entry, dict) else None
    if type(version) is not int:
        raise LedgerCorrupt("ledger-malformed", "an entry is no object with a version")
    if version > VERSION:
        raise LedgerCorrupt(
            "ledger-newer", f"an entry has version {version}, this Pilothouse knows {VERSION}", _UPGRADE
        )
    if not _is_canonical(text, entry):
        raise LedgerCorrupt("ledger-not-canonical", "an entry's bytes are not the canonical form of what they say")
    payload = entry["data"]
    for step in range(version, VERSION):
        upcast = upcasts.get(step)
        if upcast is None:
            raise LedgerCorrupt("ledger-malformed", f"an entry has version {version}, which never existed")
        payload = upcast(payload)
    return Event(
        chain=entry["chain"],
        seq=entry["seq"],
        prev=entry["prev"],
        run=entry["run"],
        at=entry["at"],
        fact=fact_from_json(entry["kind"], payload),
        hash=sha256(data).hexdigest(),
    )


_UPGRADE = "Install the Pilothouse that wrote this ledger, or a newer one; nothing was changed."


def verify(entries: Iterable[Row], chain: str, head: str | None = None) -> Verification:
    """Find every edit, drop, swap, fork and truncation in a chain.

    Args:
        entries: sequence number, stored hash and bytes, in the order of the ledger.
        chain: the name that every entry must carry.
        head: a hash noted earlier (state.yml, a release record, a person's notebook). It may be the hash of any entry:
            the ledger has grown since. Without it a missing tail cannot be told from a tail that never was.
    """
    from pilothouse.ledger.proof import proven  # loaded here: a command that only reads a status needs none of it

    problems: list[Problem] = []
    count, last_seq, prev, stored_prev = 0, 0, GENESIS, GENESIS
    anchor = 0 if head == GENESIS else None
    for seq, stored, data in entries:
        count += 1
        actual = sha256(data).hexdigest()
        found = len(problems)
        if actual != stored:
            problems.append(Problem(seq, "edited", f"the bytes hash to {actual[:12]}, the ledger noted {stored[:12]}"))
        entry = proven(data) or _examined(seq, data)
        if isinstance(entry, Problem):
            problems.append(entry)
        else:
            if entry.v != VERSION and (newer := _foreign_version(seq, entry.v)):
                problems.append(newer)
            if entry.chain != chain or entry.seq != seq:
                message = f"the entry says it is {entry.chain} {entry.seq}, it stands at {chain} {seq}"
                problems.append(Problem(seq, "foreign" if entry.chain != chain else "reordered", message))
            # After an edit the next entry still names the hash that was noted: one problem, not two.
            if entry.prev not in (prev, stored_prev) and seq == last_seq + 1:
                message = f"names {entry.prev[:12]} as the entry before, which is {prev[:12]}"
                problems.append(Problem(seq, "relinked", message))
        if seq != last_seq + 1:
            problems.append(_out_of_step(seq, last_seq))
        if actual == head and len(problems) == found:
            anchor = seq
        last_seq, prev, stored_prev = seq, actual, stored
        if len(problems) >= _MOST_PROBLEMS:
            break
    if head is not None and anchor is None:
        message = f"no sound entry has the hash {head[:12]}: the chain was cut short or written anew"
        problems.append(Problem(0, "head-missing", message))
    return Verification(not problems, count, prev, tuple(problems), anchor)


def _out_of_step(seq: int, last: int) -> Problem:
    if seq == last:
        return Problem(seq, "duplicate", f"two entries are number {seq}: the chain forks")
    if seq < last:
        return Problem(seq, "reordered", f"number {seq} stands after {last}")
    return Problem(seq, "dropped", f"number {seq} stands after {last}: {seq - last - 1} missing")


def _foreign_version(seq: int, version: object) -> Problem | None:
    if type(version) is int and version > VERSION:
        return Problem(seq, "newer", f"version {version} is newer than this Pilothouse, which knows {VERSION}")
    if type(version) is not int or (version < VERSION and version not in UPCASTS):
        return Problem(seq, "malformed", f"version {version!r} never existed")
    return None


def _examined(seq: int, data: bytes) -> Entry | Problem:
    """The exact judgement of an entry for which the quick proof did not hold."""
    try:
        text = data.decode()
        entry = _loads(text)
    except (ValueError, RecursionError):
        return Problem(seq, "malformed", "the bytes are no entry")
    if _is_canonical(text, entry):
        from pilothouse.ledger.proof import Entry

        return Entry(**entry)
    if isinstance(entry, dict) and (newer := _foreign_version(seq, entry.get("v"))):
        return newer
    return Problem(seq, "not-canonical", "the bytes are not the canonical form of what they say")


def _refuse(literal: str) -> object:
    raise ValueError(f"{literal} is no number of the ledger")


def _integer(literal: str) -> int:
    if len(literal) >= _LONGEST_INTEGER and not -(2**53) < int(literal) < 2**53:
        _refuse(literal[:40])
    return int(literal)


_loads = cast(
    "Callable[[str], Any]", json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse, parse_int=_integer).decode
)


def _chunks() -> Callable[[object, int], Iterable[str]]:
    # The encoder in C is built once here; json builds one a call, which costs as much as a small payload.
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False)
        return lambda value, _: encoder.encode(value)
    quote = getattr(json.encoder, "encode_basestring", None)  # unknown to the type stubs
    sort_keys, skip_keys, allow_nan = True, False, False
    in_c = make(None, None, quote, None, ":", ",", sort_keys, skip_keys, allow_nan)
    return cast("Callable[[object, int], Iterable[str]]", in_c)


_dump = _chunks()


def _is_canonical(text: str, entry: Any) -> bool:
    """Whether the text is the one canonical form of its entry.

    The envelope is compared as text, so this also proves that its keys and their types are the right ones: a value that
    needs escapes, or is no string, cannot give the same text back. Only the payload is encoded again.
    """
    try:
        payload = entry["data"]
        same = type(payload) is dict and text == (
            f'{{"at":"{entry["at"]}","chain":"{entry["chain"]}","data":{"".join(_dump(payload, 0))},'
            f'"kind":"{entry["kind"]}","prev":"{entry["prev"]}","run":"{entry["run"]}",'
            f'"seq":{entry["seq"]},"v":{entry["v"]}}}'
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
    if same:
        return text.isascii() or _ascii_keys(payload)
    return _is_canonical_with_escapes(text, entry)


_TYPES = {"at": str, "chain": str, "data": dict, "kind": str, "prev": str, "run": str, "seq": int, "v": int}


def _is_canonical_with_escapes(text: str, entry: Any) -> bool:
    """The same for a chain's or run's name that needs escapes: rare, so plain."""
    if type(entry) is not dict or {key: type(value) for key, value in entry.items()} != _TYPES:
        return False
    try:
        return canonical(entry) == text.encode()
    except (NotCanonical, ValueError, RecursionError):
        return False


def _ascii_keys(value: object) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _ascii_keys(item) for key, item in value.items())
    return all(map(_ascii_keys, value)) if isinstance(value, list) else True
