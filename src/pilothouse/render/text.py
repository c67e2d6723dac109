"""Untrusted text made safe to show, and small words for amounts and times."""

from __future__ import annotations

import json
import re
import unicodedata

# Bidirectional controls can make a line read otherwise than it is; zero-width characters can hide in it.
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
_ZERO_WIDTH = {0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0x034F, 0x180E}
# Letters and marks that show nothing: Hangul fillers, the empty Braille cell, variation selectors (not an emoji's own).
_ZERO_WIDTH |= {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, *range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0)}
# Categories of characters that nobody sees; a line separator would make two lines of one.
_UNSEEN = {"Cc", "Cs", "Co", "Cn", "Cf", "Zl", "Zp"}

# Scripts with letters that look Latin: within a Latin word all of theirs are marked. Greek is not one of them: of it
# only look-alikes are, since a formula may well say it (Unicode Technical Standard 39, mixed-script words).
_ALIKE = {"CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"}
# Letters that most fonts draw as an ASCII letter or digit (a small table after Unicode's confusables.txt).
_LOOK_ALIKES = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0501\u050d\u04bb\u04cf\u051b\u051d\u043a\u0432\u043c\u043d\u0442\u0433\u0437\u044c"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408\u04ae\u04c0\u050c\u051a\u051c\u0417"
    "\u03b1\u03b3\u03b9\u03ba\u03bd\u03bf\u03c1\u03c3\u03c4\u03c5\u03c7\u03f2\u03f3"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03f9\u037f"
    "\u0561\u0563\u0566\u0570\u0578\u057c\u057d\u0581\u0584\u0585\u054d\u0555\u053c"
    "\u13a0\u13a1\u13a2\u13a5\u13a9\u13aa\u13ab\u13ac\u13b3\u13b7\u13bb\u13be\u13c0\u13c2\u13c3\u13da\u13de\u13df\u13e2\u13e6\u13e7\u13f4"
)  # fmt: skip
# Latin letters of phonetics, which are in few languages' words.
_PHONETIC = frozenset("\u0251\u0261\u0269\u026a\u028f\u1d0f\u1d1c\u1d20\u1d21\u1d22\ua731")
_WORD = re.compile(r"[^\W_]+")  # letters and digits; marks are neither, and split no look-alike from its word's script


def safe(text: str, limit: int = 200) -> str:
    """One line of untrusted text, its length bounded, in which nothing is other than it looks.

    Control, bidi, zero-width and blank-looking characters are shown as ``<U+XXXX>``. So are letters that pass for
    ASCII: full-width and mathematical ones always; those of other scripts in a word that is mixed with Latin ones, or
    that consists of look-alikes alone. A word in a script of its own stays as it is.
    """
    text = text[: limit * 2]
    marked = set() if text.isascii() else _passing_for_ascii(text)
    out: list[str] = []
    for index, char in enumerate(text):
        code = ord(char)
        if char in "\t\n\r":
            out.append(" ")
        elif index in marked or code in _BIDI or code in _ZERO_WIDTH or unicodedata.category(char) in _UNSEEN:
            out.append(f"<U+{code:04X}>")
        else:
            out.append(char)
    line = "".join(out)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _passing_for_ascii(text: str) -> set[int]:
    """The positions of letters that pass for ASCII ones."""
    words = [(found.start(), found.group(), _scripts(found.group())) for found in _WORD.finditer(text)]
    latin = any("LATIN" in scripts for _, _, scripts in words)
    # Scripts in which the line really says something: a single letter there may well be a word of that language.
    spoken = {
        script
        for _, word, scripts in words
        if len(scripts) == 1 and not set(word) <= _LOOK_ALIKES
        for script in scripts
    }
    marked: set[int] = set()
    for start, word, scripts in words:
        mixed = "LATIN" in scripts and len(scripts) > 1
        foreign = [
            at for at, char in enumerate(word, start) if char in _LOOK_ALIKES or (mixed and _script(char) in _ALIKE)
        ]
        whole = bool(scripts) and all(char in _LOOK_ALIKES or not char.isalpha() for char in word)
        at_home = len(scripts) == 1 and scripts <= spoken and (len(word) == 1 or not latin)
        if foreign and (mixed or (whole and not at_home)):
            marked.update(foreign)
        marked.update(at for at, char in enumerate(word, start) if _in_disguise(char))
    return marked


def _scripts(word: str) -> frozenset[str]:
    return frozenset(_script(char) for char in word if char.isalpha())


def _script(char: str) -> str:
    """The first word of a letter's Unicode name, which is its script: the standard library knows no better."""
    return unicodedata.name(char, "UNKNOWN").partition(" ")[0]


def _in_disguise(char: str) -> bool:
    """Whether a character is an ASCII letter or digit in another dress: full-width, mathematical, or of phonetics."""
    if char.isascii() or unicodedata.category(char)[0] not in "LN" or unicodedata.category(char) == "No":
        return False
    plain = unicodedata.normalize("NFKC", char)
    return (plain.isascii() and plain.isalnum()) or char in _PHONETIC


_RAW = re.compile(r"[^ -~\n]")


def visible_json(value: object, indent: int | None = None) -> str:
    r"""JSON for a stream that a person may see: what ``safe`` would mark is written as its ``\uXXXX`` escape.

    The value that a reader parses is the same; ``json`` itself escapes only the controls below U+0020.
    """
    return _RAW.sub(_escaped, json.dumps(value, ensure_ascii=False, indent=indent))


def _escaped(found: re.Match[str]) -> str:
    char = found.group()
    if ord(char) not in _BIDI | _ZERO_WIDTH and unicodedata.category(char) not in _UNSEEN:
        return char
    return json.dumps(char)[1:-1] if char != "\x7f" else "\\u007f"


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
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
