"""The grammars of everything that may become an argument of a child process or a part of a URL (I6).

A text that fits its grammar can be no option, no path out of its folder and no revision expression.
"""

from __future__ import annotations

import re
import unicodedata

import semver

SHA = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # suites, environments, products
ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")  # migrations and the like
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DATE = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
_VERSION, _PATH, _LABEL = 64, 1000, 50  # characters at most
_REF = re.compile(r"[A-Za-z0-9._/-]{1,200}")
_PATH_PART = re.compile(r"[^/\x00-\x1f\x7f\\]{1,255}")


def is_sha(text: str) -> bool:
    """A full commit name: 40 lower-case hexadecimal digits, nothing that git would have to resolve."""
    return SHA.fullmatch(text) is not None


def is_ref(text: str) -> bool:
    """A branch's or tag's short name: git check-ref-format's rules, narrowed to letters, digits and ``._/-``.

    Also refused: a leading ``-`` (an option), a leading ``refs/`` (it would name another namespace), ``HEAD`` and what
    looks like a full sha (git would resolve it as one).
    """
    if not _REF.fullmatch(text) or text == "HEAD" or text.startswith(("-", "refs/")) or is_sha(text):
        return False
    parts = text.split("/")
    return ".." not in text and all(
        part and not part.startswith((".", "-")) and not part.endswith((".lock", ".")) for part in parts
    )


def is_version(text: str) -> bool:
    """A semantic version (semver.org 2.0.0) of reasonable length."""
    return len(text) <= _VERSION and semver.Version.is_valid(text)


def is_path(text: str) -> bool:
    """A relative path within a repository: no ``..``, no ``.git``, no empty or odd part."""
    if not text or len(text) > _PATH:
        return False
    return all(
        _PATH_PART.fullmatch(part) and part not in {".", ".."} and not _is_git_folder(part) for part in text.split("/")
    )


def _is_git_folder(part: str) -> bool:
    # File systems fold case and drop trailing dots and spaces (CVE-2014-9390).
    return part.casefold().rstrip(". ") in {".git", "git~1"}


def is_label(text: str) -> bool:
    """A forge's label: printable, one line, at most 50 characters, no comma (the API's separator)."""
    return 0 < len(text) <= _LABEL and text.isprintable() and "," not in text and text == text.strip()


def is_prose(text: str, limit: int) -> bool:
    """Text that may travel: no NUL, no lone surrogate, at most ``limit`` characters."""
    return len(text) <= limit and "\0" not in text and not any(unicodedata.category(mark) == "Cs" for mark in set(text))
