"""Untrusted text on its way to people and files: bounded, visible, and without held secrets."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SHORTEST_SECRET = 6  # shorter values would redact ordinary words
_SHORTEST_LINE = 16  # of a secret of several lines (a key in PEM), of which a part may be shown alone
_MENTION = re.compile(r"(?<![\w`])@(?=[A-Za-z0-9])")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~])")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def visible(text: str) -> str:
    """The text with every control, format and bidirectional mark spelt out; line feeds and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(mark if _harmless(mark) else f"<U+{ord(mark):04X}>" for mark in text)


def first_hidden(text: str) -> str:
    """The first character that ``visible`` would spell out, or an empty text."""
    return next((mark for mark in text if not _harmless(mark)), "")


def _harmless(mark: str) -> bool:
    return mark in "\n\t" or unicodedata.category(mark) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def one_line(text: str, limit: int = 200) -> str:
    """The text as one visible line of at most ``limit`` characters, the cut marked."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def output(data: bytes, limit: int = 4000, redact: Callable[[str], str] = str) -> str:
    """The end of a child's output, for people: colours dropped, controls spelt out, at most ``limit`` characters.

    ``redact`` sees it before the cut: half a secret would be recognised by nobody.
    """
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    text = redact(visible(redact(_ANSI.sub("", text)))).strip("\n")
    if len(text) <= limit:
        return text
    return f"[{len(text) - limit} characters left out]\n{text[-limit:]}"


def markdown(text: str, limit: int = 300) -> str:
    """Untrusted text as one line of Markdown that shows as itself: no markup, no HTML, no mention."""
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text, limit)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    # An empty comment splits the text node, so that a forge notifies nobody.
    return _MENTION.sub("@<!-- -->", escaped)


class Redactor:
    """Takes held secrets out of text, raw and in the encodings in which they usually leak (I8)."""

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        forms: dict[str, str] = {}
        for name, value in secrets:
            if len(value) >= _SHORTEST_SECRET:
                for form in {form for part in _parts(value) for form in _forms(part)}:
                    forms.setdefault(form, name)
        self._forms = forms
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """The text with ``[redacted NAME]`` in the place of each secret."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: f"[redacted {self._forms[found.group()]}]", text)


def _parts(value: str) -> set[str]:
    """The value, as one line, and its longer lines: a child may show any of them."""
    lines = {line.strip() for line in value.splitlines()} if len(value.splitlines()) > 1 else set()
    return {value, " ".join(value.split()), *(line for line in lines if len(line) >= _SHORTEST_LINE)}


def _forms(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogateescape")  # how the environment's bytes became this text
    escaped = json.dumps(value)[1:-1]
    quoted = {urllib.parse.quote(raw, safe=safe) for safe in ("", "/", "/:@!$&'()*+,;=~")}
    quoted.add(urllib.parse.quote_plus(raw))
    forms = {
        value,
        value[::-1],
        raw.hex(),
        raw.hex().upper(),
        escaped,
        escaped.replace("/", "\\/"),
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        *quoted,
        *(re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), text) for text in quoted),
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # Within a longer text the alignment shifts; the first and last digits then belong to the neighbours too.
            encoded = encode(b"\0" * shift + raw).decode().rstrip("=")
            forms.add(encoded[(shift * 8 + 5) // 6 : len(encoded) - (1 if (shift + len(raw)) % 3 else 0)])
    return {form for form in forms if len(form) >= _SHORTEST_SECRET}
