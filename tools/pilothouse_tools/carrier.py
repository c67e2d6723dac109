"""Chains on a git remote: one ref a chain, a commit a push, a new file a push, moved by compare-and-swap alone.

``refs/pilothouse/<chain>`` points at a commit whose tree holds::

    00012/00012345.jsonl    the rows from entry 12,345 on that one push brought: each entry's exact bytes, one a line
    head.json               the end of the chain: its number, its hash
    lease.json              who may advance the product, and until when

A push adds one file to one small folder, so its cost does not grow with the history; nothing is ever written again, and
a ref is never moved but forward. Everything is plumbing in the scratch repository (``fast-import``): no checkout, no
hook, no configuration of the clone.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from pilothouse.canonical import canonical
from pilothouse.errors import ChainMoved, LedgerCorrupt, LedgerError, LedgerUnreachable, ToolFailed, Unreachable
from pilothouse.ports import Head, Lease, Tip
from pilothouse_tools import grammar
from pilothouse_tools.context import Context
from pilothouse_tools.scratch import UPSTREAM, complaint
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pilothouse.canonical import Json
    from pilothouse.ports import Clock
    from pilothouse.settings import Product
    from pilothouse_tools import child
    from pilothouse_tools.scratch import Scratch

Row = tuple[int, str, bytes]
Segment = tuple[int, str, int]  # its first entry, its blob, its size in bytes

PLACE = "refs/pilothouse/"
_SHARD = 1000  # entries a folder
_FOLDER = re.compile(r"[0-9]{5,}")
_SEGMENT = re.compile(r"[0-9]{5,}/([0-9]{8,})\.jsonl")
_CHAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_NETWORK = 60.0
_SETTLING = 5.0  # seconds in which a push whose connection died may still land
_AT_ONCE = 16_000_000  # bytes of segments read by one child
_MOVED = re.compile(r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|reference already exists")
_REFUSED = re.compile(r"\[(?:remote )?rejected\]")
_AGAIN = "Check the network and your access to the remote, then: pilothouse resume"
_FORKED = "Nothing was changed. Somebody rewrote what must only grow: see docs/ci.md, and keep this disk's .pilothouse"


class GitCarrier:
    """Implements ``ports.Carrier`` over a scratch repository and its remote.

    Args:
        git: the guarded way into git; it keeps, per chain, the last commit that was seen, so that a rewritten ref is
            noticed.
    """

    def __init__(self, git: Scratch) -> None:
        self._git = git
        self._known: dict[str, Tip] = {}

    # --- asking ---------------------------------------------------------------------------------------------------

    def tips(self) -> Mapping[str, Tip]:
        """Every chain on the remote, asked now; see ``ports.Carrier``."""
        kept = self._kept()  # before the remote is asked, which can only be further since
        for left in (1, 0):
            there = self._listed()
            if self._bring(list(there.values()), last=not left):
                break
        for chain in kept.keys() - there.keys():
            raise LedgerCorrupt("ledger-forked", f"{PLACE}{chain} is gone from {self._git.remote}", _FORKED)
        for chain, mark in there.items():
            self._keep(chain, kept.get(chain, ""), mark)
        self._known = {chain: self._tip(chain, mark) for chain, mark in there.items()}
        return dict(self._known)

    def _listed(self) -> dict[str, str]:
        done = self._remote("ls-remote", "--refs", "--end-of-options", UPSTREAM, f"{PLACE}*")
        if done.code or done.truncated:
            raise self._unreachable(done)
        found: dict[str, str] = {}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            mark, _, ref = line.partition("\t")
            chain = ref.removeprefix(PLACE)
            if _CHAIN.fullmatch(chain) and grammar.is_sha(mark):
                found[chain] = mark
        return found

    def _bring(self, marks: list[str], *, last: bool) -> bool:
        """Fetch the commits that are not here; False where the remote moved in between."""
        missing = [mark for mark in marks if not self._has(mark)]
        if not missing:
            return True
        done = self._remote(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", "--end-of-options", UPSTREAM, *missing,
        )  # fmt: skip
        if all(map(self._has, missing)):
            return True
        if last:
            raise self._unreachable(done)
        return False

    def _has(self, mark: str) -> bool:
        return (
            any(tip.mark == mark for tip in self._known.values())
            or not self._local("cat-file", "-e", f"{mark}^{{commit}}").code
        )

    def _kept(self) -> dict[str, str]:
        listed = self._read("for-each-ref", "--format=%(objectname) %(refname)", PLACE).decode()
        return {ref.removeprefix(PLACE): mark for mark, _, ref in (line.partition(" ") for line in listed.splitlines())}

    def _keep(self, chain: str, before: str, mark: str) -> None:
        """Remember a commit as seen; it must contain the one that was seen before. Raises LedgerCorrupt."""
        if before == mark:
            return
        if before and self._local("merge-base", "--is-ancestor", before, mark).code:
            if not self._local("merge-base", "--is-ancestor", mark, before).code:
                message = f"{PLACE}{chain} on {self._git.remote} was taken back to an older state"
            else:
                message = f"{PLACE}{chain} on {self._git.remote} was written anew"
            if self._kept().get(chain) == before:  # else another process on this disk saw a newer one meanwhile
                raise LedgerCorrupt("ledger-forked", message, _FORKED)
            return
        self._remember(chain, before, mark)

    def _remember(self, chain: str, before: str, mark: str) -> None:
        self._local("update-ref", f"{PLACE}{chain}", mark, before or "0" * 40)  # who comes second saw as much

    def _tip(self, chain: str, mark: str) -> Tip:
        known = self._known.get(chain)
        if known is not None and known.mark == mark:
            return known
        asked = f"{mark}:head.json\n{mark}:lease.json\n".encode()
        try:
            head, lease = map(json.loads, _contents(self._read("cat-file", "--batch", stdin=asked), 2))
            held = None
            if lease:
                held = Lease(chain, str(lease["holder"]), int(lease["fence"]), str(lease["expires_at"]))
            return Tip(mark, Head(int(head["seq"]), str(head["hash"])), held)
        except (KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
            raise self._malformed(chain, "head or lease cannot be read") from error

    def rows(self, chain: str, tip: Tip, start: int) -> list[Row]:
        """The rows from a sequence number on; see ``ports.Carrier``."""
        if not tip.mark:
            return []
        found: list[Row] = []
        for batch in _batches(self._segments(chain, tip.mark, start)):
            for (seq, _, _), content in zip(batch, self._blobs(batch), strict=True):
                found.extend(
                    (seq + number, sha256(line).hexdigest(), line)
                    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"))
                )
        return [row for row in found if row[0] >= start]

    def _segments(self, chain: str, mark: str, start: int) -> list[Segment]:
        """Each segment that holds an entry from ``start`` on, in order."""
        names = self._read("ls-tree", "-z", "-d", "--name-only", "--end-of-options", mark).decode().split("\0")[:-1]
        if not all(map(_FOLDER.fullmatch, names)):
            raise self._malformed(chain, "it holds other folders than its own")
        found: list[Segment] = []
        for folder in sorted(names, key=int, reverse=True):
            listed = self._read("ls-tree", "-z", "-l", "--full-tree", "--end-of-options", mark, "--", f"{folder}/")
            for line in listed.decode("utf-8", "replace").split("\0")[:-1]:
                about, _, path = line.partition("\t")
                named, words = _SEGMENT.fullmatch(path), about.split()
                if named is None or words[:2] != ["100644", "blob"]:
                    raise self._malformed(chain, f"{one_line(path, 80)} is no segment")
                found.append((int(named.group(1)), words[2], int(words[3])))
            if found and min(found)[0] <= start:
                break
        found.sort()
        begin = max((number for number, (seq, _, _) in enumerate(found) if seq <= start), default=0)
        return found[begin:]

    def _blobs(self, segments: Sequence[Segment]) -> list[bytes]:
        asked = "".join(f"{blob}\n" for _, blob, _ in segments).encode()
        return _contents(self._read("cat-file", "--batch", stdin=asked), len(segments))

    # --- pushing --------------------------------------------------------------------------------------------------

    def push(self, chain: str, tip: Tip, rows: Sequence[Row], lease: Lease | None) -> Tip:
        """Add a commit with these rows; see ``ports.Carrier``."""
        if not _CHAIN.fullmatch(chain):
            raise LedgerError("ledger-bad-chain", f"{chain[:80]!r} cannot name a ref")
        head = Head(rows[-1][0], rows[-1][1]) if rows else tip.head
        mark = self._commit(chain, tip, rows, head, lease)
        ref = f"{PLACE}{chain}"
        try:
            done = self._git.run(
                "push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed",
                f"--force-with-lease={ref}:{tip.mark}", "--end-of-options", UPSTREAM, f"{mark}:{ref}",
                remote=True, timeout=_NETWORK,
            )  # fmt: skip
            said = self._git.scrub(f"{complaint(done)} {one_line(done.stdout.decode('utf-8', 'replace'), 2000)}", 1000)
            code = done.code
        except Unreachable as unreachable:
            said, code = unreachable.message, 1
        # The server's own word for the ref is the answer; without it, the ref itself is asked.
        if code and not self._landed(chain, mark, patient=not _REFUSED.search(said)):
            self._raise_unpushed(chain, tip, said)
        self._remember(chain, tip.mark, mark)
        self._known[chain] = Tip(mark, head, lease)
        return self._known[chain]

    def _commit(self, chain: str, tip: Tip, rows: Sequence[Row], head: Head, lease: Lease | None) -> str:
        """One commit on top of the tip, made by one child; no ref is left behind by it."""
        files: dict[str, bytes] = {"head.json": canonical({"seq": head.seq, "hash": head.hash})}
        told = f"{chain}: " + (f"entries {rows[0][0]} to {rows[-1][0]}" if rows else "lease")
        for first in range(0, len(rows), _SHARD):
            part = rows[first : first + _SHARD]
            files[f"{part[0][0] // _SHARD:05d}/{part[0][0]:08d}.jsonl"] = b"".join(data + b"\n" for _, _, data in part)
        held: dict[str, Json] = {}
        if lease is not None:
            held = {"holder": lease.holder, "fence": lease.fence, "expires_at": lease.expires_at}
        files["lease.json"] = canonical(held)
        sign = self._git.signature
        who = f"{sign.name} <{sign.email}> {int(datetime.now(UTC).timestamp())} +0000"
        message = f"{told}\n\nPilothouse-Head: {head.seq} {head.hash}\n".encode()
        stream = [
            f"feature done\ncommit refs/pushing/{chain}\nmark :1\ncommitter {who}\ndata {len(message)}\n".encode(),
            message, f"from {tip.mark}\n".encode() if tip.mark else b"",
        ]  # fmt: skip
        for path, content in files.items():
            stream.append(f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n")
        stream.append(f"\nreset refs/pushing/{chain}\nfrom {'0' * 40}\n\nget-mark :1\ndone\n".encode())
        made = self._read("fast-import", "--quiet", "--force", stdin=b"".join(stream)).decode().strip()
        if not grammar.is_sha(made):
            raise LedgerError("ledger-error", f"git made no commit for {chain}")
        return made

    def _landed(self, chain: str, mark: str, *, patient: bool) -> bool:
        """Whether the remote holds a commit, as its ref's own or below it."""
        until = time.monotonic() + (_SETTLING if patient else 0)
        while True:
            there = self._listed().get(chain, "")
            if there == mark:
                return True
            if there and self._bring([there], last=False) and not self._local(
                "merge-base", "--is-ancestor", mark, there
            ).code:  # fmt: skip
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.2)

    def _raise_unpushed(self, chain: str, tip: Tip, said: str) -> None:
        if _MOVED.search(said) or self._listed().get(chain, "") != tip.mark:
            raise ChainMoved("chain-moved", f"somebody else wrote to {chain} first, from another machine",
                             "Read again, and decide again.")  # fmt: skip
        if _REFUSED.search(said):
            raise LedgerError(
                "ledger-push-refused", f"{self._git.remote} refuses to take {PLACE}{chain}: {one_line(said, 300)}",
                f"whoever runs Pilothouse must be allowed to push {PLACE}* (docs/ci.md)",
            )  # fmt: skip
        raise LedgerUnreachable(
            "ledger-unreachable", f"{PLACE}{chain} could not be pushed to {self._git.remote}: {one_line(said, 300)}",
            _AGAIN,
        )  # fmt: skip

    # --- git ------------------------------------------------------------------------------------------------------

    def _remote(self, *arguments: str) -> child.Finished:
        try:
            return self._git.run(*arguments, remote=True, timeout=_NETWORK)
        except ToolFailed as failure:
            raise LedgerUnreachable("ledger-unreachable", failure.message, failure.hint or _AGAIN) from failure

    def _local(self, *arguments: str) -> child.Finished:
        try:
            return self._git.run(*arguments)
        except ToolFailed as failure:
            raise LedgerError("ledger-error", failure.message, failure.hint) from failure

    def _read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        try:
            return self._git.read(*arguments, stdin=stdin)
        except ToolFailed as failure:
            raise LedgerError("ledger-error", failure.message, failure.hint) from failure

    def _unreachable(self, done: child.Finished) -> LedgerUnreachable:
        return LedgerUnreachable(
            "ledger-unreachable",
            f"the remote {self._git.remote}, which holds the ledger, does not answer: "
            f"{self._git.scrub(complaint(done), 300)}",
            _AGAIN,
        )

    @staticmethod
    def _malformed(chain: str, what: str) -> LedgerCorrupt:
        return LedgerCorrupt("ledger-malformed", f"{PLACE}{chain} on the remote: {what}", _FORKED)


def _contents(raw: bytes, number: int) -> list[bytes]:
    """What ``cat-file --batch`` printed for so many objects. Raises ValueError where one is missing."""
    contents, at = [], 0
    for _ in range(number):
        end = raw.index(b"\n", at)
        size = int(raw[at:end].rsplit(b" ", 1)[1])
        contents.append(raw[end + 1 : end + 1 + size])
        at = end + 2 + size
    return contents


def _batches(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments in order, as many at once as a child may answer with."""
    batch: list[Segment] = []
    for segment in segments:
        if batch and sum(size for _, _, size in batch) + segment[2] > _AT_ONCE:
            yield batch
            batch = []
        batch.append(segment)
    if batch:
        yield batch


def carrier_of(products: Mapping[str, Product], project: Path, environ: Mapping[str, str], clock: Clock,
               scratch: Path) -> GitCarrier:  # fmt: skip
    """The carrier of a project whose products have one remote.

    Raises:
        LedgerError: ``ledger-two-remotes``.
        ToolFailed: the clone or its remote cannot be used.
    """
    remotes = sorted({product.remote for product in products.values()})
    if len(remotes) != 1:
        raise LedgerError(
            "ledger-two-remotes", f"the products have the remotes {', '.join(remotes)}, and a ledger lies on one",
            "give them one remote, or keep the ledger on this disk: ledger: local",
        )  # fmt: skip
    product = next((item for item in products.values() if item.remote_token), next(iter(products.values())))
    now = clock.now().isoformat()
    return GitCarrier(Context(product, project, environ, clock, {}, scratch, "", now).repo)
