"""An export's records and lists against what was fetched of the remote: as it was at the export, and as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pilothouse.covering import Release, untold
from pilothouse.exported import Told, in_period, releases_of, told_of
from pilothouse.ledger.prove import Chain
from pilothouse.proving.found import Part, Proof
from pilothouse.proving.rebuilt import foreign
from pilothouse.proving.records import anchored
from pilothouse.proving.remote import Remote
from pilothouse_tools import audited, grammar
from pilothouse_tools.recordshape import place_of


def hold(remote: Remote, part: Part, chain: Chain | None, proof: Proof) -> Told:
    """Hold one product's part against the remote.

    Returns:
        What the part must tell, by the branches as they were at the export; where the export names none that are part
        of the remote's history, as they are now.
    """
    where, read = part.where, remote.read
    tip, head = remote.tip(where.branch), remote.tip(where.base)
    there = audited.files_on(read, tip) if tip else {}
    _same(remote, part, tip, there, proof)
    then_tip = _then(remote, where.branch, where.tip, tip, proof)
    then_head = _then(remote, where.base, where.base_head, head, proof)
    then = there if then_tip == tip else audited.files_on(read, then_tip) if then_tip else {}
    line = audited.of_period(audited.line_of(read, then_head), *part.days) if then_head else []
    known = releases_of(then, part.product, lambda record: audited.reached(read, record))
    told = told_of(where, then, known, line, part.days, foreign(part))
    for path in sorted(told.files.keys() - part.files.keys()):
        proof.add(part.place(path), "record-missing", "the remote's branch has it")
    if chain:
        _all_anchored(part, known[0], chain, proof)
    if (then_tip, then_head) != (tip, head):
        _now(remote, part, told, (there, head), {row["sha"] for row in line}, proof)
    return told


def _same(remote: Remote, part: Part, tip: str, there: Mapping[str, bytes], proof: Proof) -> None:
    branch = part.where.branch
    if not tip:
        if part.files or part.where.tip:
            proof.add(branch, "remote-differs", "the remote has no such branch")
        return
    for path in audited.rewritten(remote.read, tip):
        proof.add(f"{branch}:{path}", "branch-rewritten", "a commit of the branch changed or removed it")
    for path, data in part.files.items():
        if path not in there:
            proof.add(part.place(path), "remote-differs", f"{branch} has no such file")
        elif there[path] != data:
            proof.add(part.place(path), "remote-differs", f"{branch} has it with other bytes")


def _then(remote: Remote, branch: str, noted: str, now: str, proof: Proof) -> str:
    """A branch's tip at the export where the export names one of its history, else its tip now."""
    if not noted:
        if now:
            proof.add(branch, "tip-missing", "the remote has this branch, and the manifest names no tip of it")
        return now
    if grammar.is_sha(noted) and now and remote.descends(noted, now):
        return noted
    proof.add(branch, "branch-rewritten", f"{noted[:12]}, its tip at the export, is no part of it any more")
    return now


def _all_anchored(part: Part, known: Iterable[Release], chain: Chain, proof: Proof) -> None:
    """The whole chain is in each export, so it holds the entries that records of other periods name, too."""
    for item in known:
        for kind, record in (("intent", item.intent), ("outcome", item.outcome)):
            path = f"{place_of(item.record)}/{kind}.json"
            if record and path not in part.files:
                anchored(f"{part.where.branch}:{path}", record, chain, proof)


def _now(
    remote: Remote, part: Part, told: Told, present: tuple[Mapping[str, bytes], str], seen: set[str], proof: Proof
) -> None:
    """What came after the tips that the manifest names, and belongs to the period nevertheless.

    The manifest is not signed: whoever wants to hide the newest commits or records names older tips in it.
    """
    (there, head), read = present, remote.read
    line = audited.of_period(audited.line_of(read, head), *part.days) if head else []
    fresh = [row for row in line if row["sha"] not in seen]
    known, _ = releases_of(there, part.product, lambda record: audited.reached(read, record))
    newer = 0
    for item in known:
        for kind, record in (("intent", item.intent), ("outcome", item.outcome)):
            path = f"{place_of(item.record)}/{kind}.json"
            if record is None or path in told.files or path in part.files:
                continue
            if in_period(item, fresh, *part.days):
                proof.add(part.place(path), "record-missing", "the remote's branch has it, newer than the export")
            elif in_period(item, line, *part.days):
                newer += 1  # written after the period, of commits that the export lists as it knew them then
    told_rows = {(gap.kind, gap.ref) for gap in part.listed}
    for gap in untold(part.product, fresh, known):
        if gap.kind.startswith("commit-") and (gap.kind, gap.ref) not in told_rows:
            proof.add("exceptions.json", "unlisted", f"{gap.kind} {gap.ref}: {gap.what}; newer than the export")
    if newer:
        proof.notes.append(f"{part.where.branch} has {newer} records of these commits that are newer than the export")


def hold_tags(remote: Remote, parts: Sequence[Part], chains: Mapping[str, Chain], proof: Proof) -> None:
    """Every entry that a tag's message names must be in a chain, unless the tag is of what came after the export."""
    found = audited.anchors(remote.read)
    proof.tags += len(found)
    end = max((chain.found.entries for chain in chains.values()), default=0)
    heads = [part.where.base_head for part in parts if grammar.is_sha(part.where.base_head)]
    for tag, seq, digest in found:
        if not seq or any(chain.hashes.get(seq) == digest for chain in chains.values()):
            continue
        commit = f"refs/tags/{tag}^{{commit}}"
        if heads and seq > end and not any(remote.descends(commit, head) for head in heads):
            proof.notes.append(f"tag {tag} is newer than the export: it names entry {seq}, the longest chain has {end}")
        else:
            told = f"no exported chain has the entry {seq} with the hash {digest[:12]}"
            proof.add(f"tag {tag}", "tag-anchor", told)
