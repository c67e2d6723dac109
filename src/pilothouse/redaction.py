"""How held values (``held.py``) are taken out of every text that leaves (AUT-4, I8).

A held value is recognised as it is and in the encodings in which values usually leak, wherever white space, line breaks
or backslashes were put into it, in the text as it is and in each of its ``readings``: without colours and prefixes of
lines, and with escapes undone. The search is linear in the text, whatever number of values is held: a window slides
over the text without that noise and is looked up in a table of beginnings.
"""

from __future__ import annotations

import base64
import json
import quopri
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from pilothouse.held import LEAST, TELLING, held_by, weakness
from pilothouse.readings import readings

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.settings import Product

_PART = 12  # letters and digits of a form that are too many to be shown, where it is not made of words
_LINE = 16  # of a value of several lines (a key in PEM), of which one may be shown alone
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufe00-\ufe0f\ufeff"
)
_BLANK = rf"[\s{_INVISIBLE}]+"
_ESCAPED = r"\\+(?:[nrt](?:\s+)?)?|%0[adAD]|=\r?\n|&#(?:10|13|x[aAdD]);"
# What may stand within a value that is written down. Of most forms enough is left when all is taken out that is neither
# letter nor digit: line breaks, separators, the frame, diff or quotation before a line, a literal that goes on in the
# next, and what encodings make of a line break (\n, %0A). The few others are looked for with what is written between
# letters left in place: once as the text is, once as an encoding writes it.
_ALL = re.compile(r"[^\w\\%]*\n[ \t]*[rbfu][\"']|(?:[^\w\\%]|_)+|\\+[nrt]?|%(?:0[adAD])?")
_SIGNS = re.compile(r"[\W_]+")
_SPACES = re.compile(_BLANK)
_ESCAPES = re.compile(rf"{_BLANK}|{_ESCAPED}")
_QUOTES = re.compile(rf"{_BLANK}|{_ESCAPED}|[\"'`]+")  # CSV, SQL and shells double them
_ENOUGH = 12  # letters and digits
_EATEN = (
    "nrt0bfu"  # what a form may begin with and lose, where a backslash, a per cent or a quotation mark stands before
)
_WORDY = re.compile(r"\s|://|^[/{\[]|[a-z]{8}|[A-Z]{8}")
_HTML_MARKS, _JSON_MARKS = re.compile(r"[&<>\"']|[^\0-\x7f]"), re.compile(r"[&<>+=']")
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def credential_names(product: Product) -> tuple[str, ...]:
    """The variables that a product's configuration names as holding secrets."""
    forge = product.forge.credentials if product.forge else ()
    services = [notice.url_variable for notice in product.notify]
    tickets = product.tickets.credentials if product.tickets else ()
    environments = [name for item in product.environments.values() for name in item.credentials]
    return tuple(
        dict.fromkeys(name for name in (product.remote_token, *services, *forge, *tickets, *environments) if name)
    )


def redactor(project: Path | None, environ: Mapping[str, str]) -> Redactor:
    """Takes out every value that ``held_by`` finds for this project and environment."""
    return Redactor((item.name, item.value) for item in held_by(project, environ))


# A window of a form: the form, where in it the window stands, whether a part of it is enough, and the variable's name.
_Table: TypeAlias = dict[str, list[tuple[str, int, bool, str]]]


class Redactor:
    """Takes held values out of text.

    Args:
        secrets: names and values; weak values (``weakness``) are left alone.
    """

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        self._secrets = dict(secrets)
        self._tables: dict[re.Pattern[str], _Table] = {_ALL: {}, _SPACES: {}, _ESCAPES: {}, _QUOTES: {}}
        for name, value in self._secrets.items():
            if not value or weakness(value):
                continue
            for part in _parts(value):
                opaque = _is_opaque(part)
                for form in _forms(part):
                    self._enter(form, name, opaque=opaque)

    def _enter(self, form: str, name: str, *, opaque: bool) -> None:
        bare = _ALL.sub("", form)
        if len(bare) >= _ENOUGH:
            _enter(self._tables[_ALL], bare, name, opaque=opaque)
            # What a wrapping has cut in two is no escape any more.
            if (cut := _SIGNS.sub("", form)) != bare:
                _enter(self._tables[_ALL], cut, name, opaque=opaque)
            if bare[0] in _EATEN and len(bare) > _ENOUGH:
                _enter(self._tables[_ALL], bare[1:], name, opaque=False)
            return
        for noise in (_SPACES, _ESCAPES):
            if len(bare := noise.sub("", form)) >= LEAST:
                _enter(self._tables[noise], bare, name, opaque=False)
        if not weakness(bare := _QUOTES.sub("", form)):
            _enter(self._tables[_QUOTES], bare, name, opaque=False)

    def also(self, secrets: Iterable[tuple[str, str]]) -> Redactor:
        """One that takes out these, too; itself where it does already."""
        every = {**self._secrets, **dict(secrets)}
        return self if every == self._secrets else Redactor(every.items())

    def __bool__(self) -> bool:
        return any(self._tables.values())

    def __call__(self, text: str) -> str:
        """The text with ``[redacted NAME]`` in the place of each held value."""
        out: list[str] = []
        end = 0
        for start, stop, name in self._spans(text):
            out += [text[end:start], f"[redacted {name}]"]
            end = stop
        return "".join([*out, text[end:]]) if out else text

    def found(self, text: str) -> str:
        """The name of a variable whose value the text holds; empty where it holds none."""
        return next((name for _, _, name in self._spans(text)), "")

    def _spans(self, text: str) -> list[tuple[int, int, str]]:
        """Where held values stand: start, end, name; in order, not overlapping."""
        if not self or len(text) < LEAST:
            return []
        tables = [(noise, table) for noise, table in self._tables.items() if table]
        found = [span for noise, table in tables for span in _search(text, noise, table)]
        found += [
            (*reading.place(start, stop), name)
            for reading in readings(text)
            for noise, table in tables
            for start, stop, name in _search(reading.text, noise, table)
        ]
        if not found:
            return []
        merged: list[tuple[int, int, str]] = []
        for start, stop, name in sorted(found, key=lambda span: (span[0], -span[1])):
            if merged and start < merged[-1][1]:
                before = merged[-1]
                merged[-1] = (before[0], max(before[1], stop), before[2])
            else:
                merged.append((start, stop, name))
        return merged


def _enter(table: _Table, form: str, name: str, *, opaque: bool) -> None:
    form = form.translate(_LOWER)
    # Windows so near to each other that every part of the length that counts holds one whole.
    last = len(form) - LEAST if opaque else 0
    for place in range(0, last + 1, _PART - LEAST + 1):
        entries = table.setdefault(form[place : place + LEAST], [])
        if all((known, where) != (form, place) for known, where, _, _ in entries):
            entries.append((form, place, opaque, name))


def _is_opaque(part: str) -> bool:
    """Whether a part of it can be nothing but the secret: no address, path or prose, whose parts are ordinary words."""
    return not _WORDY.search(part) and any(mark.isdigit() for mark in part) and any(mark.isalpha() for mark in part)


def _search(text: str, noise: re.Pattern[str], table: _Table) -> Iterator[tuple[int, int, str]]:
    bare = noise.sub("", text)
    # Only A to Z: a case mapping that changes lengths would shift what is found.
    bare = bare.lower() if bare.isascii() else bare.translate(_LOWER)
    starts = [start for start in range(len(bare) - LEAST + 1) if bare[start : start + LEAST] in table]
    if not starts:
        return
    where = _places(text, noise)
    end = 0  # of what was found already: everything in it goes, whatever else begins there
    for start in starts:
        if start + LEAST <= end:
            continue
        windows = table[bare[start : start + LEAST]]
        runs = (_run(bare, start, form, place, name, parts=parts) for form, place, parts, name in windows)
        best = max(runs, key=lambda run: run[1] - run[0])
        if best[1] > max(best[0], end):
            end = best[1]
            yield where[best[0]], where[end - 1] + 1, best[2]


def _run(bare: str, start: int, form: str, place: int, name: str, *, parts: bool) -> tuple[int, int, str]:
    """From where to where a text is the form around one of its windows; nothing where that is too little of it."""
    if not parts:
        whole = place == 0 and bare.startswith(form, start)
        return (start, start + len(form), name) if whole else (0, 0, name)
    before, after = 0, LEAST
    while before < min(place, start) and bare[start - before - 1] == form[place - before - 1]:
        before += 1
    most = min(len(form) - place, len(bare) - start)
    while after < most and bare[start + after] == form[place + after]:
        after += 1
    enough = before + after >= min(_PART, len(form))
    return (start - before, start + after, name) if enough else (0, 0, name)


def _places(text: str, noise: re.Pattern[str]) -> list[int]:
    """Where each character stood before the noise was taken out."""
    places: list[int] = []
    end = 0
    for found in noise.finditer(text):
        places += range(end, found.start())
        end = found.end()
    places += range(end, len(text))
    return places


def _parts(value: str) -> set[str]:
    """What of a value may be shown alone: its lines, the secret leaves of its JSON, the login of its URL."""
    parts = {value, value.strip()}
    lines = value.splitlines()
    if len(lines) > 1:
        parts |= {line.strip() for line in lines if len(line.strip()) >= _LINE and not line.startswith("-----")}
    parts |= {leaf for leaf in (*_leaves(value), *_login(value)) if not weakness(leaf)}
    return parts - {""}


def _leaves(value: str) -> Iterator[str]:
    if not value.lstrip().startswith(("{", "[")):
        return
    try:
        rest: list[tuple[str, object]] = [("", json.loads(value))]
    except (ValueError, RecursionError):
        return
    while rest:
        key, item = rest.pop()
        if isinstance(item, dict):
            rest += [(str(name), inner) for name, inner in item.items()]
        elif isinstance(item, list):
            rest += [(key, inner) for inner in item]
        elif isinstance(item, str) and TELLING.search(key):
            yield item
            yield from (line for line in item.splitlines() if len(line) >= _LINE and not line.startswith("-----"))


def _login(value: str) -> Iterator[str]:
    """The password of a URL, and the tokens that a service has put into its path or query (web hooks)."""
    if "://" not in value:
        return
    try:
        parts = urllib.parse.urlsplit(value)
        password = parts.password or parts.username or ""
    except ValueError:
        return
    for part in (password, *re.split(r"[/?&=;]", f"{parts.path}?{parts.query}")):
        if part == password or len(part) >= _LINE:
            yield from {part, urllib.parse.unquote(part)} - {""}


def _by_number(mark: re.Match[str]) -> str:
    return f"&#{ord(mark.group())};"


def _by_code(mark: re.Match[str]) -> str:
    return f"\\u{ord(mark.group()):04x}"


def _as_html(value: str) -> str:
    for mark, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;")):
        value = value.replace(mark, escape)
    return value


def _forms(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogateescape")  # how the environment's bytes became this text
    escaped = json.dumps(value)[1:-1]
    quoted = {urllib.parse.quote(raw, safe=safe) for safe in ("", "/", "/:@!$&'()*+,;=~")}
    quoted.add(urllib.parse.quote_plus(raw))
    pairs = [f"{byte:02x}" for byte in raw]
    forms = {
        value, value[::-1],
        raw.hex(), raw.hex()[::-1], ":".join(pairs), "-".join(pairs), ",".join(f"0x{pair}" for pair in pairs),
        "".join(f"\\x{pair}" for pair in pairs), "".join(f"%{pair}" for pair in pairs),
        escaped, escaped.replace("/", "\\/"), json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1],
        json.dumps(escaped)[1:-1], "".join(f"\\u{ord(mark):04x}" for mark in value),
        _as_html(value), _as_html(value).replace("&quot;", '"').replace("&#x27;", "'"), value.replace("'", "'\\''"),
        *quoted, *(urllib.parse.quote(text, safe="") for text in quoted),
        base64.b32encode(raw).decode().rstrip("="), ",".join(map(str, raw)), "".join(f"\\{byte:03o}" for byte in raw),
        # What ``readings`` undo, too; here for a wrapping that cuts an escape in two.
        _HTML_MARKS.sub(_by_number, value), _HTML_MARKS.sub(_by_number, value).replace("&#38;", "&amp;"),
        _JSON_MARKS.sub(_by_code, escaped), _JSON_MARKS.sub(_by_code, escaped).replace("\\u002b", "+"),
        quopri.encodestring(raw, quotetabs=True).decode(),
        *(reading.text for reading in readings(value) if not weakness(reading.text)),
    }  # fmt: skip
    wide, twice = value.encode("utf-16-le", "surrogatepass"), base64.b64encode(raw)  # PowerShell's; Kubernetes' secrets
    for digits in (*_in_base64(raw), *_in_base64(wide), *_in_base64(twice)):
        forms |= {digits, digits[::-1], urllib.parse.quote(digits, safe="")}
    return forms


def _in_base64(raw: bytes) -> Iterator[str]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # Within a longer text the alignment shifts; the first and last digits then belong to the neighbours too.
            encoded = encode(b"\0" * shift + raw).decode().rstrip("=")
            yield encoded[(shift * 8 + 5) // 6 : len(encoded) - (1 if (shift + len(raw)) % 3 else 0)]
