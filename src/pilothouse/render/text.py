"""Untrusted text made safe to show, and small words for amounts and times."""

from __future__ import annotations

import textwrap
import unicodedata

# Bidirectional controls can make a line read otherwise than it is; zero-width characters can hide in it.
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
_ZERO_WIDTH = {0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0x034F, 0x180E}


def safe(text: str, limit: int = 200) -> str:
    """One line of untrusted text: control, bidi and zero-width characters shown as ``<U+XXXX>``, length bounded."""
    out: list[str] = []
    for char in text[: limit * 2]:
        code = ord(char)
        if char in "\t\n\r":
            out.append(" ")
        elif code in _BIDI or code in _ZERO_WIDTH or unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn", "Cf"}:
            out.append(f"<U+{code:04X}>")
        else:
            out.append(char)
    line = "".join(out)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 file``, ``3 files``; an irregular plural is given."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def duration(seconds: float) -> str:
    """``0 s``, ``11 s``, ``1 min 48 s``, ``3 h``, ``2 days``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min" if whole % 3600 >= 60 else f"{whole // 3600} h"
    return count(whole // 86400, "day")


def short(sha: str) -> str:
    """A sha or digest, short enough to read and long enough to copy."""
    return f"{sha[:4]}…{sha[-4:]}" if len(sha) == 64 else sha[:7]


def wrap(text: str, width: int) -> list[str]:
    """Words into lines of at most ``width`` characters; a longer word is cut, never lost; at least one line."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
