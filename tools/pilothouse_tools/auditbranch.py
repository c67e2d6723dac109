"""What the audit branch holds that a promotion asks for: archives of pull requests, and the runs' own commits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse_tools import envelope, grammar, records, recordshape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context
    from pilothouse_tools.trail import Entry

_LISTING = 64_000_000  # bytes
_RECORDS = 64_000_000
_MAKING = frozenset({"git.release_branch", "git.merge", "git.revert"})  # the acts that make commits
_NAMED = 12  # digits of a commit in an act's summary
_SHORT = re.compile(rf"\b[0-9a-f]{{{_NAMED}}}\b")


def archive_of(path: str, number: int) -> str:
    """Where the archive of a pull request lies, by ``audit.archive``."""
    return path.replace("{number}", str(number))


def archives(context: Context, branch: str, path: str) -> dict[str, str]:
    """Every file in the archives' folder, and its blob, by one listing; none where there is no such branch.

    Args:
        context: of the product.
        branch: the commit of the audit branch, empty where the remote has none.
        path: ``audit.archive``, with ``{number}``.

    Raises:
        ToolFailed: ``git-failed``.
    """
    if not branch:
        return {}
    folder = path.partition("{number}")[0].rpartition("/")[0]
    where = ("--", f"{folder}/") if folder else ()
    done = context.repo.run("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", branch, *where, cap=_LISTING)
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git ls-tree failed, or said too much (exit {done.code})")
    found: dict[str, str] = {}
    for line in done.stdout.split(b"\0")[:-1]:
        head, _, name = line.partition(b"\t")
        mode, kind, sha = head.split()
        if kind == b"blob" and mode != b"120000":
            found[name.decode("utf-8", "surrogateescape")] = sha.decode()
    return found


def own(context: Context, entries: Sequence[Entry], branch: str) -> dict[str, str]:
    """The commits that a run says are its own and that its record on the audit branch says it made; the run by commit.

    A trailer alone proves nothing: anybody can write one. Nor does a file alone: it must be the whole record of exactly
    that run, at its place, and signed where ``audit.public_key`` is set. Without a key whoever can push to the audit
    branch can write one too, which is why these commits are shown to those who approve.

    Raises:
        ToolFailed: ``git-failed``; ``cannot-verify``: what verifies a signature is not installed.
    """
    claimed = {entry.sha: entry for entry in entries if entry.run}
    if not claimed or not branch:
        return {}
    made = _made(context, branch, sorted({entry.run for entry in claimed.values()}))
    found = {sha: entry.run for sha, entry in claimed.items() if made[entry.run].get(sha) is True}
    # A revert that others overtook came by a merge, which its act lists and does not name.
    found |= {
        sha: entry.run
        for sha, entry in claimed.items()
        if made[entry.run].get(sha) is False and any(found.get(parent) == entry.run for parent in entry.parents[1:])
    }
    return found


def _made(context: Context, branch: str, runs: list[str]) -> dict[str, dict[str, bool]]:
    """For each run the own commits that its records list; whether one of its acts names the commit."""
    made: dict[str, dict[str, bool]] = {run: {} for run in runs}
    wanted: dict[str, tuple[str, str]] = {}
    for run in runs:
        try:
            folder = records.folder_of(records.release_id(context.product.name, run))
        except ToolFailed:  # the trailer names no run of this product
            continue
        wanted |= {f"{branch}:{folder}/{kind}": (run, kind) for kind in records.KINDS}
    files = _files(context, [f"{name}{end}" for name in wanted for end in (".json", ".dsse.json")])
    for name, (run, kind) in wanted.items():
        record = _record(context, files.get(f"{name}.json"), files.get(f"{name}.dsse.json"))
        # The folder follows from product and run: a record of these two is at its own place.
        if record and (record["product"], record["run"], record["kind"]) == (context.product.name, run, kind):
            made[run] |= _own_commits(record)
    return made


def _files(context: Context, names: list[str]) -> dict[str, bytes]:
    """Those of the files that are there, by one look at all of them."""
    if not names:
        return {}
    asked = "".join(f"{name}\n" for name in names).encode()
    done = context.repo.run("cat-file", "--batch", stdin=asked, cap=_RECORDS)
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git cat-file failed, or said too much (exit {done.code})")
    found, at = {}, 0
    for name in names:
        end = done.stdout.index(b"\n", at)
        head, at = done.stdout[at:end], end + 1
        if head.endswith(b" missing"):
            continue
        _, kind, size = head.split()
        if kind == b"blob":
            found[name] = done.stdout[at : at + int(size)]
        at += int(size) + 1
    return found


def _record(context: Context, data: bytes | None, signed: bytes | None) -> dict[str, Json] | None:
    """The record that a file holds; None where it holds no whole one, or its signature is wanted and does not fit."""
    if data is None:
        return None
    key = context.product.audit.public_key if context.product.audit else ""
    try:
        if key and (signed is None or envelope.verified(signed, key, context.child_environ()) != data):
            return None
        return recordshape.parsed(data)
    except ToolFailed as error:
        if error.reason_code in {"record-malformed", "envelope-malformed", "bad-argument"}:
            return None
        raise


def _own_commits(record: dict[str, Json]) -> dict[str, bool]:
    """The commits that a whole record lists as its run's, where an act that makes commits was done; which it names."""
    acts, listed = record["acts"], record["own_commits"]
    assert isinstance(acts, list)
    assert isinstance(listed, list)
    done = [act for act in acts if isinstance(act, dict) and act["state"] == "done" and act["tool"] in _MAKING]
    told = {word for act in done for word in _SHORT.findall(str(act["summary"]))}
    return {str(sha): str(sha)[:_NAMED] in told for sha in listed if done and grammar.is_sha(str(sha))}
