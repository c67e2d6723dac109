"""The words in which the sample product's history is told: changes, their commits and what these do to the tree.

The files under `acme/` are the product as of 1.3.0 (migration 0007 apart, which belongs to #236, and 0008 and `ops/`,
which only some worlds have): an edit either adds some of them or alters what earlier edits left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

Tree = dict[str, str]
Edit = Callable[[Tree], None]

PEOPLE = {
    "ada": "Ada Berg <ada@acme.test>",
    "noor": "Noor Haddad <noor@acme.test>",
    "kofi": "Kofi Mensah <kofi@acme.test>",
    "lin": "Lin Zhao <lin@acme.test>",
    "dependabot": "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>",
}
COMPARE = "https://github.com/harbour/acme/compare"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: its message and what it does to the tree."""

    message: str
    edits: tuple[Edit, ...]
    author: str


@dataclass(frozen=True, slots=True)
class Change:
    """One pull request (number 0: a commit without one) and how it came to main.

    Args:
        how: "squash" and "merge" are on main; "open" is not merged; "branch" is a branch without a pull request.
        head: the branch that it was made on.
        since: how many changes main was ahead when the branch began (merge only), so that the merge is a real one.
        tag: the annotated tag on its commit on main.
    """

    number: int
    title: str
    commits: tuple[Commit, ...]
    how: Literal["squash", "merge", "open", "branch"] = "squash"
    head: str = ""
    body: str = ""
    reviewer: str = "ada"
    labels: tuple[str, ...] = ()
    since: int = 0
    tag: str = ""

    @property
    def author(self) -> str:
        """Who made the first commit."""
        return self.commits[0].author


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of the tracker."""

    number: int
    title: str
    author: str
    labels: tuple[str, ...]
    body: str


@cache
def product() -> Tree:
    """The product's files by path."""
    root = Path(__file__).parent / "acme"
    files = (
        file
        for file in sorted(root.rglob("*"))
        if file.suffix in {".py", ".sql", ".md", ".html"} or file.name == "gitignore"
    )
    return {
        str(file.relative_to(root)).replace("gitignore", ".gitignore"): file.read_text(encoding="utf-8")
        for file in files
    }


def _add(tree: Tree, *prefixes: str) -> None:
    tree |= {path: text for path, text in product().items() if path.startswith(prefixes)}


def add(*prefixes: str) -> Edit:
    """Adds the product's files that begin so."""
    return lambda tree: _add(tree, *prefixes)


def _replace(tree: Tree, path: str, old: str, new: str) -> None:
    if tree[path].count(old) != 1:
        raise ValueError(f"{path} does not contain exactly once: {old!r}")
    tree[path] = tree[path].replace(old, new)


def replace(path: str, old: str, new: str) -> Edit:
    """Replaces a text that occurs exactly once."""
    return partial(_replace, path=path, old=old, new=new)


def write(path: str, text: str) -> Edit:
    """Makes or replaces a file."""
    return lambda tree: tree.update({path: text})


def _note(tree: Tree, section: str, line: str) -> None:
    head, rest = tree["CHANGELOG.md"].split("## [Unreleased]\n", 1)
    body, marker, tail = rest.partition("\n## [") if "\n## [" in rest else rest.partition("\n[unreleased]")
    heading = f"### {section}\n\n"
    body = body.strip("\n")
    body = body.replace(heading, f"{heading}- {line}\n", 1) if heading in body else f"{body}\n\n{heading}- {line}"
    body = body.strip("\n")
    tree["CHANGELOG.md"] = f"{head}## [Unreleased]\n\n{body}\n{marker}{tail}"


def note(section: str, line: str) -> Edit:
    """Adds a line to the changelog's Unreleased section."""
    return partial(_note, section=section, line=line)


def _release(tree: Tree, version: str, last: str, day: str) -> None:
    text = tree["CHANGELOG.md"]
    text = text.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - {day}\n", 1)
    old = next(line for line in text.splitlines() if line.startswith("[unreleased]: "))
    link = f"{COMPARE}/v{last}...v{version}" if last else f"https://github.com/harbour/acme/releases/tag/v{version}"
    tree["CHANGELOG.md"] = text.replace(old, f"[unreleased]: {COMPARE}/v{version}...HEAD\n[{version}]: {link}")
    for path, line in (("package.json", '"version": "{}"'), ("pyproject.toml", 'version = "{}"')):
        _replace(tree, path, line.format(last or "0.0.0"), line.format(version))


def release(version: str, last: str, day: str) -> Edit:
    """Writes a version into the changelog and the package files, as the releases before Pilothouse did by hand."""
    return partial(_release, version=version, last=last, day=day)


def squash(
    number: int, title: str, author: str, *edits: Edit, body: str = "", head: str = "", **more: object
) -> Change:
    """A pull request that became one commit."""
    message = f"{title} (#{number})" + (f"\n\n{body}" if body else "")
    fields = {"head": head or f"change-{number}", "body": body, "reviewer": "noor" if author == "ada" else "ada"}
    return Change(number, title, (Commit(message, edits, author),), **(fields | more))  # type: ignore[arg-type]
