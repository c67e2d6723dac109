"""Each exported record by itself, and against the chain."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.events import Aborted, Done, Ended, Intended, Observed, Settled, Superseded
from pilothouse.ledger.chain import GENESIS
from pilothouse.ledger.prove import Chain
from pilothouse.proving.found import Part, Proof, environ
from pilothouse_tools import audited, envelope
from pilothouse_tools.recordshape import as_bytes, parsed, place_of
from pilothouse_tools.recordtext import as_markdown

if TYPE_CHECKING:
    from pilothouse.canonical import Json


def judge(part: Part, key: str, chain: Chain | None, proof: Proof) -> None:
    """Hold every file of a part against its record, the key and the chain.

    Args:
        part: one product's.
        key: the SSH public key of whoever signs; empty: none is known.
        chain: the product's; None: it is not in the export.
        proof: takes what is found.
    """
    files = part.files
    for path, data in files.items():
        where = part.place(path)
        if not path.endswith(".json") or path.endswith(".dsse.json"):
            stem = path.removesuffix(".dsse.json") if path.endswith(".json") else path.removesuffix(".md")
            if stem == path or stem.endswith(".dsse") or f"{stem}.json" not in files:
                proof.add(where, "record-malformed", "it stands beside no record")
            continue
        proof.records += 1
        try:
            record = parsed(data)
        except ToolFailed as error:
            proof.add(where, error.reason_code, error.message)
            continue
        if path != f"{place_of(record)}/{record['kind']}.json":
            proof.add(where, "record-misplaced", f"it is the {record['kind']} of {record['release']}")
        if as_bytes(record) != data:
            proof.add(where, "record-malformed", "its bytes are not the form in which records are written")
        if files.get(path.removesuffix("json") + "md") != as_markdown(record).encode():
            proof.add(where.removesuffix("json") + "md", "markdown-differs", "it is not what the JSON says")
        _signed(where, data, files.get(path.removesuffix("json") + "dsse.json"), key, proof)
        if chain:
            anchored(where, record, chain, proof)
            _in_ledger(where, data, record, chain, proof)
    _complete(part, chain, proof)


def _signed(where: str, data: bytes, signed: bytes | None, key: str, proof: Proof) -> None:
    place = where.removesuffix("json") + "dsse.json"
    if signed is None:
        if key:
            proof.add(place, "unsigned", "a key is known, and this record has no signature")
        return
    try:
        payload, _ = envelope.opened(signed)
        if payload != data:
            proof.add(place, "bad-signature", "what is signed is not the record beside it")
        elif not key:
            proof.notes.append(f"{place}: signed, and no public key is known")
        elif envelope.verified(signed, key, environ()) is None:
            proof.add(place, "bad-signature", "it is not this key's signature over this record")
        else:
            proof.signed += 1
    except ToolFailed as error:
        if error.reason_code == "cannot-verify":
            proof.notes.append(f"{place}: {error.message}; {error.hint}")
        else:
            proof.add(place, "bad-signature", error.message)


def anchored(where: str, record: Mapping[str, Json], chain: Chain, proof: Proof) -> None:
    """The entry that a record names must be in the chain: one that ends before it was cut, or written anew."""
    anchor = record["ledger"]
    assert isinstance(anchor, dict)
    seq = int(str(anchor["seq"]))
    if seq > chain.found.entries:
        told = f"the chain ends at entry {chain.found.entries}, the record was composed after entry {seq}"
        proof.add(where, "not-in-ledger", told)
    elif (chain.hashes.get(seq) if seq else GENESIS) != anchor["head"]:
        proof.add(where, "not-in-ledger", f"the chain's entry {seq} has not the hash that the record names")


def _in_ledger(where: str, data: bytes, record: Mapping[str, Json], chain: Chain, proof: Proof) -> None:
    """The chain must hold that this record was composed and, of an outcome, that it was written and its run ended."""
    if not chain.events:  # of another version, which is said; or empty, which its anchor shows
        return
    digest = sha256(data).hexdigest()
    facts = [event.fact for event in chain.events if event.run == record["run"]]
    composed = (fact.facts for fact in facts if isinstance(fact, Observed) and fact.tool == "record.compose")
    if not any(seen.get("digest") == digest for seen in composed):
        proof.add(where, "not-in-ledger", "the chain knows no such record: it was composed with other content")
        return
    if record["kind"] != "outcome":
        return
    steps = {fact.step for fact in facts if isinstance(fact, Intended) and fact.tool == "record.write"}
    written = any(
        (isinstance(fact, Done) and fact.step in steps and fact.facts.get("digest") == digest)
        or (isinstance(fact, Settled) and fact.step in steps and fact.presence == "applied")
        for fact in facts
    )
    if not written:
        proof.add(where, "not-written", "no entry of the chain says that it was written: the chain's end is missing")
    if not any(isinstance(fact, Ended | Aborted | Superseded) for fact in facts):
        told = f"the chain holds no end of {record['run']}: it was cut, or the export was made before the run was over"
        proof.add(where, "run-open", told)


def _complete(part: Part, chain: Chain | None, proof: Proof) -> None:
    """Every record that the chain says was written in the period is here."""
    here, days = {sha256(data).hexdigest() for data in part.files.values()}, part.days
    for event in chain.events if chain else ():
        match event.fact:
            case Done(facts=facts) if {"release", "digest", "path"} <= facts.keys() and audited.within(event.at, *days):
                if facts["digest"] not in here:
                    told = f"entry {event.seq} of the chain says that it was written to {facts['path']}"
                    proof.add(str(facts["release"]), "record-missing", told)
            case _:
                pass
