"""What a leaked secret looks like, found in the history of a range: the port, and the scanner that is built in.

A leak is told by where it is and by which rule, never by what it is. What is looked at are blobs, not diffs: an
attribute cannot hide one as binary, and no textconv, driver or filter of the repository has a say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pilothouse.errors import ToolFailed
from pilothouse_tools.text import visible

if TYPE_CHECKING:
    from pilothouse_tools.repository import Repository

MESSAGE = "(commit message)"
_MOST = 256_000_000  # bytes of lists of changes
_LARGEST = 5_000_000  # bytes of a blob that is looked through; larger ones are named
_BATCH = 32_000_000  # bytes of blobs at once
_PATH = 300  # characters of a path that are shown


@dataclass(frozen=True, slots=True)
class Leak:
    """One place where a secret stands. ``line`` is 1-based, in the blob or the message."""

    commit: str
    file: str
    line: int
    rule: str

    @property
    def fingerprint(self) -> str:
        """What an allow list names: this place of this commit, by nothing that the secret could be told from."""
        place = json.dumps([self.commit, self.file, self.line, self.rule])
        return hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Found:
    """What a scanner found. ``skipped`` names what it could not look through."""

    leaks: tuple[Leak, ...]
    skipped: tuple[str, ...] = ()


class SecretScanner(Protocol):
    """The port: something that looks for secrets in the commits of a range."""

    name: str  # as the evidence calls it, with its version where it has one

    def scan(self, repo: Repository, older: str, newer: str) -> Found:
        """The leaks of the commits in ``older..newer``; both are here. Raises ToolFailed."""


_RULES: Mapping[str, re.Pattern[str]] = {
    "aws-access-key": re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    "github-token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b"),
    "gitlab-token": re.compile(r"\bgl(?:pat|rt|ptt|dt|cbt|soat|ft|imt|agent)-[A-Za-z0-9_-]{20,255}"),
    "slack-token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}|\bxapp-[0-9]-[A-Za-z0-9-]{10,255}"),
    "slack-webhook": re.compile(r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{40,60}"),
    "stripe-key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,255}\b"),
    "google-api-key": re.compile(r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "npm-token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
    "pypi-token": re.compile(r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,1000}"),
    "anthropic-key": re.compile(r"\bsk-ant-[A-Za-z0-9]{2,10}-[A-Za-z0-9_-]{20,255}"),
    "openai-key": re.compile(r"\bsk-(?:[A-Za-z]+-)?[A-Za-z0-9_-]{16,200}T3BlbkFJ[A-Za-z0-9_-]{16,200}"),
    "sendgrid-key": re.compile(r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    "digitalocean-token": re.compile(r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    "vault-token": re.compile(r"\bhv[sbr]\.[A-Za-z0-9_-]{24,255}"),
    "age-key": re.compile(r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}\b"),
    # With a body: documentation that names the first line alone leaks nothing. \n: a key within JSON.
    "private-key": re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^\S\n]|\\[nr]|\r?\n|[A-Za-z][A-Za-z-]{1,30}: ?[^\n]{0,200}\n){1,12}"
        r"[A-Za-z0-9+/=]{32,}"
    ),
}
# The keys of AWS' own documentation, which everybody's tests are full of.
_EXAMPLE = re.compile(r"EXAMPLE$")
_FIRST_WORDS = re.compile(
    "AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox|xapp-|hooks\\.slack|k_live_|AIza|npm_|pypi-|sk-|SG\\."
    "|do[opr]_v1_|hv[sbr]\\.|AGE-SECRET|PRIVATE KEY"
)


def secrets_in(text: str, held: Callable[[str], str] | None = None) -> Iterator[tuple[str, int, str]]:
    """The secrets of a text: rule, line, and the secret itself, which goes no further than comparisons.

    Args:
        held: names the variable whose value a line holds, or answers nothing.
    """
    if _FIRST_WORDS.search(text):
        for rule, pattern in _RULES.items():
            for found in pattern.finditer(text):
                if not (rule == "aws-access-key" and _EXAMPLE.search(found.group())):
                    yield rule, text.count("\n", 0, found.start()) + 1, found.group()
    if held and (name := held(text)):
        # On one line, as a value is pasted; else it is wrapped, and the whole file is the place.
        lines = [number for number, line in enumerate(text.split("\n"), 1) if held(line) == name]
        for number in lines or [1]:
            yield "held-value", number, name


class BuiltIn:
    """The scanner that is always there: well-known shapes of tokens and keys, and every value the conductor holds.

    Args:
        held: names the variable whose value a text holds, or answers nothing.
    """

    name = "built-in"

    def __init__(self, held: Callable[[str], str] | None = None) -> None:
        self._held = held

    def scan(self, repo: Repository, older: str, newer: str) -> Found:
        """See ``SecretScanner``."""
        leaks = list(self._messages(repo, older, newer))
        changes = tuple(_changes(repo, older, newer))
        sizes = _sizes(repo, {change.blob for change in changes})
        skipped = sorted({change.path for change in changes if sizes.get(change.blob, 0) > _LARGEST})
        wanted = [blob for blob, size in sizes.items() if size <= _LARGEST]
        secrets = {blob: found for blob, text in _texts(repo, wanted, sizes) if (found := self._of(text))}
        before = {blob for change in changes if change.blob in secrets for blob in change.before}
        older_sizes = _sizes(repo, before - secrets.keys())
        known = {blob: {secret for _, _, secret in found} for blob, found in secrets.items()}
        fit = [blob for blob, size in older_sizes.items() if size <= _LARGEST]
        known |= {blob: {secret for _, _, secret in self._of(text)} for blob, text in _texts(repo, fit, older_sizes)}
        for change in changes:
            # What stood in the file already was leaked by whoever wrote it first.
            there = {secret for blob in change.before for secret in known.get(blob, ())}
            leaks += [
                Leak(change.commit, change.path, line, rule)
                for rule, line, secret in secrets.get(change.blob, ())
                if secret not in there
            ]
        return Found(tuple(dict.fromkeys(leaks)), tuple(skipped))

    def _of(self, text: str) -> list[tuple[str, int, str]]:
        return list(secrets_in(text, self._held))

    def _messages(self, repo: Repository, older: str, newer: str) -> Iterator[Leak]:
        done = repo.run(
            "log", "-z", "--no-show-signature", "--format=%H%n%an%n%cn%n%B", "--end-of-options", f"{older}..{newer}",
            timeout=300, cap=_MOST,
        )  # fmt: skip
        if done.code or done.truncated:
            raise ToolFailed("git-failed", f"git log failed, or said too much (exit {done.code})")
        for entry in done.stdout.decode("utf-8", "replace").split("\0"):
            commit, _, text = entry.partition("\n")
            for rule, line, _ in self._of(text):
                yield Leak(commit, MESSAGE, max(1, line - 2), rule)


@dataclass(frozen=True, slots=True)
class _Change:
    commit: str
    path: str
    blob: str
    before: tuple[str, ...]


def _changes(repo: Repository, older: str, newer: str) -> Iterator[_Change]:
    """Every file that a commit of the range writes; of a merge, those that differ from all its parents."""
    commits = repo.run("rev-list", "--end-of-options", f"{older}..{newer}", timeout=300, cap=_MOST)
    if commits.code or commits.truncated:
        raise ToolFailed("git-failed", f"git rev-list failed, or said too much (exit {commits.code})")
    done = repo.run(
        "diff-tree", "--stdin", "--root", "-r", "-z", "-c", "--raw", "--no-abbrev", "--no-renames", "--no-textconv",
        "--no-ext-diff", stdin=commits.stdout, timeout=300, cap=_MOST,
    )  # fmt: skip
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git diff-tree failed, or said too much (exit {done.code})")
    commit = ""
    tokens = iter(done.stdout.split(b"\0"))
    for token in tokens:
        text = token.decode("ascii", "replace").lstrip("\n")
        if not text.startswith(":"):
            commit = text.strip() or commit
            continue
        parents = len(text) - len(text.lstrip(":"))
        fields = text.lstrip(":").split(" ")
        modes, blobs = fields[: parents + 1], fields[parents + 1 : 2 * parents + 2]
        path = next(tokens, b"")
        if modes[-1].startswith("100") or modes[-1] == "120000":  # no submodule, nothing that was deleted
            yield _Change(commit, shown(path), blobs[-1], tuple(blob for blob in blobs[:-1] if blob.strip("0")))


def shown(path: bytes) -> str:
    """A path of a stranger's repository as one bounded, visible text."""
    text = visible(path.decode("utf-8", "backslashreplace")).replace("\n", "<U+000A>").replace("\t", "<U+0009>")
    if len(text) <= _PATH:
        return text
    # The end is cut off, so the whole is told apart by its digest.
    return f"{text[:_PATH]}…{hashlib.sha256(path).hexdigest()[:8]}"


def _sizes(repo: Repository, blobs: Iterable[str]) -> dict[str, int]:
    asked = "".join(f"{blob}\n" for blob in sorted(blobs))
    if not asked:
        return {}
    done = repo.run(
        "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked.encode(), timeout=300, cap=_MOST
    )
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git cat-file failed, or said too much (exit {done.code})")
    rows = (line.split(" ") for line in done.stdout.decode("ascii", "replace").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _texts(repo: Repository, blobs: Iterable[str], sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    batch: list[str] = []
    held = 0
    for blob in blobs:
        if batch and held + sizes[blob] > _BATCH:
            yield from _batch(repo, batch)
            batch, held = [], 0
        batch.append(blob)
        held += sizes[blob]
    if batch:
        yield from _batch(repo, batch)


def _batch(repo: Repository, blobs: list[str]) -> Iterator[tuple[str, str]]:
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    done = repo.run("cat-file", "--batch=%(objectsize)", stdin=asked, timeout=300, cap=2 * _BATCH)
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git cat-file failed, or said too much (exit {done.code})")
    place = 0
    for blob in blobs:
        head = done.stdout.index(b"\n", place)
        size = int(done.stdout[place:head])
        data = done.stdout[head + 1 : head + 1 + size]
        place = head + 2 + size
        # UTF-16, as some editors write it, is text too.
        text = (
            data.decode("utf-16", "replace")
            if data[:2] in {b"\xff\xfe", b"\xfe\xff"}
            else data.decode("utf-8", "replace")
        )
        yield blob, text
