"""An export, proven on another machine: from its files and the git remote alone, without Pilothouse's database.

Nothing of the export is believed because it says so. Chains are verified by hash and folded; a record must be what the
chain says was composed, lie where its id says, carry the signature of a key that the auditor knows, and be on the
remote's branch, on which nothing may ever have been changed. Which products and branches belong here, the remote's own
pilothouse.yml says. What people read is made anew and compared. What does not fit is named: which file, and what.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilothouse.auditing import examined
from pilothouse.errors import UsageError
from pilothouse.events import Started
from pilothouse.exported import DERIVED, MANIFEST, RECORDS, SCHEMA, Told, Where
from pilothouse.exporting import period
from pilothouse.ledger.chain import GENESIS
from pilothouse.ledger.export import FOLDER as LEDGER
from pilothouse.ledger.prove import Chain, proved
from pilothouse.ports import Head
from pilothouse.proving.found import Finding, Part, Proof
from pilothouse.proving.holding import hold, hold_tags
from pilothouse.proving.rebuilt import alone, compare, listed, noted
from pilothouse.proving.records import judge
from pilothouse.proving.remote import Remote, audited_products, hold_claims, opened
from pilothouse_tools import grammar

if TYPE_CHECKING:
    from pilothouse.settings import Product

__all__ = ["Finding", "Proof", "prove"]


def prove(
    folder: Path, remote: str = "", public_key: str = "", *, days: tuple[str, str] | None = None, head: str = ""
) -> Proof:
    """Verify an export.

    Args:
        folder: the export.
        remote: URL or folder of the product's repository; empty: nothing is held against it, and that is said.
        public_key: the SSH public key of whoever signs records, from elsewhere than the export; empty: the one in the
            remote's pilothouse.yml, or without a remote the export's own claim, and that is said.
        days: first and last of the period that the export must be of; None: whatever it claims, and that is said.
        head: the hash of a ledger entry that was noted elsewhere: one of the chains must hold it; empty: none.

    Raises:
        UsageError: ``no-export``, ``bad-period``.
        Unreachable: the remote did not answer.
    """
    manifest = _manifest(folder)
    proof = Proof(*_days(manifest))
    _demanded(proof, period(*days) if days else None)
    _files(folder, manifest, proof)
    chains = _chains(folder, manifest, proof)
    if head and not any(head in chain.hashes.values() for chain in chains.values()):
        proof.add(LEDGER, "head-missing", f"no chain holds an entry with the hash {head[:12]}")
    with opened(remote) if remote else nullcontext() as there:
        _products(folder, manifest, there, public_key, chains, proof)
    if not remote:
        proof.notes.append(
            "no remote was named: whether records, ledger and lists are those of the remote, and whether any are "
            "missing, was not looked at; only signatures and a head of yours (--key, --head) tell who wrote this"
        )
    return proof


def _products(
    folder: Path, manifest: Mapping[str, Any], there: Remote | None, key: str, chains: dict[str, Chain], proof: Proof
) -> None:
    claims = dict(_mappings(manifest, "products"))
    if not claims:
        proof.add(MANIFEST, "no-products", "it names no product: an export has at least one")
    said = audited_products(there, proof) if there else None
    known = said or {}
    if said is not None:
        hold_claims(claims, said, proof)
    rows = listed(folder)
    parts, told = [], []
    for product, claim in sorted(claims.items()):
        where = _where(product, claim, known.get(product))
        records = _records(folder, product)
        parts.append(Part(where, records, (proof.start, proof.end), tuple(r for r in rows if r.product == product)))
    if there:
        there.fetch(name for part in parts for name in (part.where.branch, part.where.base))
    for part in parts:
        chain = chains.get(part.product)
        if chain is None:
            proof.add(f"{LEDGER}/{part.product}.jsonl", "chain-missing", "the product's chain is not in the export")
        judge(part, _key(part, key, known.get(part.product), proof), chain, proof)
        told.append(hold(there, part, chain, proof) if there else alone(part))
    if there:
        hold_tags(there, parts, chains, proof)
    compare(folder, [_as_claimed(one, claims) for one in told], rows, _heads(chains), proof)
    noted(parts, proof, remote=there is not None)


def _where(product: str, claim: Mapping[str, Any], known: Product | None) -> Where:
    """Where a part comes from: the remote's own word where there is one, else the manifest's."""
    said = {name: str(claim.get(name, "")) for name in ("branch", "tip", "base", "base_head", "public_key")}
    if known and known.audit:
        said |= {"branch": known.audit.branch, "base": known.base, "public_key": known.audit.public_key}
    return Where(product, **said)


def _as_claimed(told: Told, claims: Mapping[str, Mapping[str, Any]]) -> Told:
    """What was told anew, with the manifest's names: that these differ is said once, not once more of each file."""
    return Told(_where(told.where.product, claims[told.where.product], None), told.files, told.releases, told.gaps)


def _key(part: Part, given: str, known: Product | None, proof: Proof) -> str:
    if given:
        return given
    if part.where.public_key:
        source = "the key in the remote's pilothouse.yml" if known else "the key in the export"
        proof.notes.append(f"{part.product}: signatures are held against {source}; name one that you know with --key")
    return part.where.public_key


def _days(manifest: Mapping[str, Any]) -> tuple[str, str]:
    claimed = str(manifest.get("from")), str(manifest.get("to"))
    try:
        if period(*claimed) == claimed:
            return claimed
    except UsageError:
        pass
    raise UsageError("no-export", f"{MANIFEST} names no period", "was it changed by hand?")


def _demanded(proof: Proof, days: tuple[str, str] | None) -> None:
    claimed = proof.start, proof.end
    if days is None:
        proof.notes.append("the period is what the export claims: name the one that you asked for with --from and --to")
    elif days != claimed:
        told = f"the export is of {proof.start} to {proof.end}, and {days[0]} to {days[1]} was asked for"
        proof.add(MANIFEST, "period-differs", told)


def _manifest(folder: Path) -> dict[str, Any]:
    hint = "name a folder that `pilothouse audit export` made"
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError("no-export", f"{folder} holds no {MANIFEST} that can be read", hint) from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or not isinstance(found.get("files"), dict):
        raise UsageError("no-export", f"{folder / MANIFEST} is no {SCHEMA}", hint)
    return found


def _mappings(manifest: Mapping[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    rows = manifest.get(name)
    return [(key, row) for key, row in rows.items() if isinstance(row, dict)] if isinstance(rows, dict) else []


def _files(folder: Path, manifest: Mapping[str, Any], proof: Proof) -> None:
    sums: dict[str, Any] = manifest["files"]
    here = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() or p.is_symlink()} - {MANIFEST}
    for path in sorted(here - sums.keys()):
        proof.add(path, "file-added", "the manifest does not list it")
    for path, digest in sums.items():
        if path not in here:
            proof.add(path, "file-missing", "the manifest lists it")
        elif sha256((folder / path).read_bytes()).hexdigest() != digest:
            proof.add(path, "file-changed", "its SHA-256 is not the manifest's")
    named = {name for name, _ in _mappings(manifest, "products")}
    for path in sorted(here & sums.keys()):
        first, _, rest = path.partition("/")
        known = first in DERIVED if not rest else first == LEDGER or (first == RECORDS and rest.split("/")[0] in named)
        if not known:
            proof.add(path, "file-added", "no export holds such a file: nothing tells whether what it says is so")
    proof.files = len(sums)


def _chains(folder: Path, manifest: Mapping[str, Any], proof: Proof) -> dict[str, Chain]:
    chains = {}
    heads = dict(_mappings(manifest, "heads"))
    for other in sorted((folder / LEDGER).glob("*")):
        if other.name.removesuffix(".jsonl") not in heads:
            proof.add(f"{LEDGER}/{other.name}", "file-added", "the manifest names no head of such a chain")
    for name, head in sorted(heads.items()):
        file = f"{LEDGER}/{name}.jsonl"
        if not (grammar.NAME.fullmatch(name) or name == "_global") or not (folder / file).is_file():
            proof.add(file, "file-missing", "the manifest names this chain's head")
            continue
        chain = proved(name, (folder / file).read_bytes(), str(head.get("hash", "")))
        chains[name] = chain
        proof.entries += chain.found.entries
        for problem in chain.found.problems:
            proof.add(file, f"chain:{problem.kind}", f"entry {problem.seq}: {problem.message}")
        if chain.found.ok and head != {"seq": chain.found.entries, "hash": chain.found.head}:
            proof.add(
                file, "chain:head-missing", f"it ends at entry {chain.found.entries}, not where the manifest says"
            )
        for problem in examined(chain.events).problems if chain.events else ():
            proof.add(file, f"chain:{problem.kind}", f"entry {problem.seq}: {problem.message}")
        if chain.found.ok and not chain.events and chain.found.entries:
            proof.notes.append(f"{file}: written by another version; its hashes fit, its runs were not folded")
    _global(chains, proof)
    return chains


def _global(chains: Mapping[str, Chain], proof: Proof) -> None:
    """Each run names the head that the chain of all products had when it began: it must still be there."""
    known = {GENESIS, *(chains["_global"].hashes.values() if "_global" in chains else ())}
    for name, chain in chains.items():
        lost = [
            event for event in chain.events if isinstance(event.fact, Started) and event.fact.global_head not in known
        ]
        if lost:
            told = (
                f"{len(lost)} runs of {name} name heads of it that it does not hold, the first at entry {lost[0].seq}"
            )
            proof.add(f"{LEDGER}/_global.jsonl", "chain-missing", told)


def _heads(chains: Mapping[str, Chain]) -> dict[str, Head]:
    return {name: Head(chain.found.entries, chain.found.head) for name, chain in sorted(chains.items())}


def _records(folder: Path, product: str) -> dict[str, bytes]:
    if not grammar.NAME.fullmatch(product):
        return {}
    top = folder / RECORDS / product
    return {p.relative_to(top).as_posix(): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}
