"""Untrusted text on its way to people and files: bounded, visible, and without held secrets."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from pilothouse.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Redactor", "first_hidden", "markdown", "one_line", "output", "visible"]

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
