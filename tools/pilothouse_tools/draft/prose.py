"""Whether words that an agent wrote may stand in a text that people read: no links, no claims, nothing of its own.

What the words may name comes from the evidence of the draft and from nowhere else. Too strict is better than too
little: where words are refused, the template's text stands. The words of claims are English ones; what an agent says
in another language is bound by all the rest.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse_tools import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pilothouse.canonical import Json

_REFERENCE = re.compile(r"(\w?)[#!](\d+)")
_NAMED = re.compile(  # "№" is a "#" here
    r"(?<![^\W_])(?:prs?|mrs?|gh|pulls?|(?:merge|pull)[ _-]?requests?|issues?|tickets?|bugs?|#)"
    r"(?:[\s:.()#_/'\"*`=\[\]-]|no|nr|number|id)*(\d+)(?!\d|[.,]\d)",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b[A-Z][A-Z0-9]{1,9}-\d{1,7}\b")
# Trackers take keys in any case, and letters of other alphabets look like theirs. "pre-2.0" and "top-10" are words.
_LIKE_KEY = re.compile(
    r"(?<![^\W_])(?!(?:[Mm]id|[Nn]on|[Pp]ost|[Pp]re|[Ss]ub|to|[Tt]op)-)[^\W\d_][^\W_]+-+\d+(?:[.,]\d+)*"
)
_STANDARDS = frozenset({
    "AES", "HTTP", "IEC", "IEEE", "IPV", "ISO", "MD", "RSA", "SHA", "TLS", "UTC", "UTF", "X86",
})  # fmt: skip
_HEX = re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w#!])v?(\d+(?:[.,]\d+)*)", re.IGNORECASE)
_ANY_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DIGITS = 9  # of a reference

_DOTTED = re.compile(r"[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)*\.([^\W\d_]{2,}|xn--[\w-]+)(?![\w-])")
_FILES = frozenset({
    "bak", "cfg", "conf", "csproj", "css", "csv", "env", "gz", "html", "ini", "jpeg", "jpg", "js", "json", "jsx",
    "less", "lock", "log", "mjs", "pdf", "png", "scss", "sql", "svg", "toml", "ts", "tsv", "tsx", "txt", "xml",
    "yaml", "yml",
})  # fmt: skip
_FILES_OR_SITES = frozenset({"cc", "go", "java", "kt", "md", "pl", "py", "rb", "rs", "sh", "so"})
_LINKS = re.compile(
    r"://|\b(?:https?|ftp|mailto|javascript|data|file|tel|ssh|git):(?=\S)|\bwww\.|\blocalhost\b|\]\s*[(\[:]|!\[|\[\["
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|//\w",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<[/!?]?[a-z]|&#?\w{1,31};|[\\$]|`{2,}|\{[{%#]|<[^\s<>]*>", re.IGNORECASE)
_BEGINNING = re.compile(r"[^\W_]|[\"'“‘„«(¿¡`]")
_LIST = re.compile(r"\d+[.)](?:\s|$)")

_CLAIMS = re.compile(
    r"\b(?:pre-?)?approved\b"
    r"|\bapprovals? (?:is |was |has been |already )?(?:granted|given|obtained|not needed|unnecessary)\b"
    r"|\bplease approve\b|\bapprove (?:this|it|now|the release|at once)\b|\blgtm\b|\bsign(?:ed|ing|s)?[- ]?offs?\b"
    r"|\bauthori[sz]ed by\b|\bgo[- ]ahead\b|\bgreen[- ]?light|\bship it\b|\bcleared\b|\bblessing\b|\bthumbs[- ]up\b"
    r"|\b(?:may|can|could|should|must|ought to|has to|free to|clear to) (?:\w+ ){0,2}go (?:out|live|ahead|to prod)"
    r"|\b(?:it|this|release|version|build|candidate|everything) (?:may|can|should|must) (?:\w+ )?"
    r"be (?:deployed|merged|released|rolled out|shipped)\b"
    r"|\b(?:safe|ready|okay?|good|fit) to (?:be )?(?:ship|release|deploy|approve|merge|roll ?out|go\b)"
    r"|\bno (?:further |human |manual )?(?:review|approval|check)s? (?:is |are |was |were )?(?:needed|required)"
    r"|\b(?:reviewed|verified|vetted|certified|audited|tested) by\b"
    r"|\ball (?:\w+ ){0,2}(?:tests|checks|gates) (?:have |are |were )?(?:pass|green)"
    r"|\btype (?:the|this) word\b|\bconfirmation word\b",
    re.IGNORECASE,
)
# Letters without a look of their own, and marks that change the ones beside them.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(mark) for mark in range(0xFE00, 0xFE10)}
_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
_STACK = 2  # marks on one letter, as Vietnamese has them
# What passes for another mark and NFKC leaves: for a dot (½ is a number of its own), an apostrophe, a #, a dash.
_DASHES = (
    "\u02d7\u058a\u05be\u06d4\u1400\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2053\u2212\u23af\u2500\u2501"
    "\u2796\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030\u30a0\U00010ead"
)
_PASSES_FOR = str.maketrans("。․⁄‘’ʼ♯№" + _DASHES, "...'''##" + "-" * len(_DASHES))
_PASSES_FOR_DASH = re.compile(r"(?<=[A-Za-z0-9])[\u30fc\u4e00\u1173](?=\d)")  # letters of their own elsewhere


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the words of a draft may name: texts as they stand, and references, keys, commits and numbers by name.

    ``spelled`` is what plain like a ticket's key, is none, and stands so in the evidence: ipv-6.
    """

    text: str
    references: frozenset[int]
    keys: frozenset[str]
    spelled: frozenset[str]
    commits: frozenset[str]
    numbers: frozenset[str]


def evidence(
    *values: Json,
    references: Iterable[int] | None = None,
    keys: Iterable[str] | None = None,
    counts: Iterable[int] = (),
) -> Evidence:
    """What values say.

    Args:
        values: the arguments of a draft.
        references: numbers of pull requests and issues; None: those that stand in the values.
        keys: of tickets; None: those that stand in the values.
        counts: further numbers, which code counted.
    """
    told = "\n".join(words(list(values)))
    known = {int(number) for _, number in _REFERENCE.findall(told) if len(number) <= _DIGITS}
    bare = _HEX.sub(" ", told)
    numbers = {
        number for found in _ANY_NUMBER.findall(bare) for number in (found, found.replace(",", ""), *_heads(found))
    }
    seen = as_seen(told)
    tickets = frozenset(map(str.upper, _KEY.findall(seen) if keys is None else keys))
    trackers = {key.partition("-")[0] for key in tickets}
    return Evidence(
        told, frozenset(known if references is None else references), tickets,
        frozenset(key for key in _LIKE_KEY.findall(seen) if key != key.upper() and _head(key) not in trackers),
        frozenset(map(str.lower, _HEX.findall(told))), frozenset(numbers | {str(count) for count in counts}),
    )  # fmt: skip


def as_seen(said: str) -> str:
    """The words as they look to a reader, for checks: one form for each letter, and one dash."""
    seen = unicodedata.normalize("NFKC", said.translate(_PASSES_FOR)).translate(_PASSES_FOR)
    return _PASSES_FOR_DASH.sub("-", seen)


def _head(key: str) -> str:
    return key.partition("-")[0].upper()


def _heads(number: str) -> Iterator[str]:
    """1.4 of 1.4.0: a version may be named by its beginning."""
    parts = number.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts)) if len(parts) > 2)


def words(value: Json) -> Iterator[str]:
    """Every text and number within a JSON value."""
    match value:
        case str():
            yield value
        case bool() | None:
            return
        case int():
            yield str(value)
        case list():
            for item in value:
                yield from words(item)
        case dict():
            for item in value.values():
                yield from words(item)


def checked(said: str, where: str, most: int, known: Evidence) -> str:
    """The words as one line, where they may stand.

    Args:
        said: as the agent wrote them.
        where: what they are, for the refusal.
        most: characters.
        known: what they may name.

    Raises:
        ToolFailed: ``draft-refused``.
    """
    line = re.sub(r"[ \n\t]+", " ", said).strip(" ")
    if not line:
        raise refused(where, "nothing is said")
    if len(line) > most:
        raise refused(where, f"{len(line)} characters, and {most} are the most")
    plain = as_seen(line)
    why = _hidden(line) or next((why for look in _LOOKS if (why := look(plain, known))), "")
    if why:
        raise refused(where, why)
    return line


def refused(where: str, why: str) -> ToolFailed:
    """Words that may not stand where they were to."""
    return ToolFailed("draft-refused", f"{where}: {text.visible(why)}", "The template's text stands.")


def _hidden(line: str) -> str:
    mark = text.first_hidden(line) or next((mark for mark in line if mark in _BLANK), "")
    if mark:
        return f"it holds the invisible character U+{ord(mark):04X}"
    stacked = 0
    for mark in unicodedata.normalize("NFD", line):
        stacked = stacked + 1 if unicodedata.category(mark) in {"Mn", "Me"} else 0
        if stacked > _STACK:
            return "marks are stacked on a letter"
    for word in re.findall(r"[^\W\d_]{2,}", line):
        scripts = {unicodedata.name(mark, "?").split(" ")[0] for mark in word} & _ALIKE
        if len(scripts) > 1:
            return f"a word mixes letters of {' and '.join(sorted(scripts))}"
    return ""


def _markup(plain: str, _known: Evidence) -> str:
    if not _BEGINNING.match(plain) or _LIST.match(plain):
        return f"it begins like markup: {plain[:10]!r}"
    found = _MARKUP.search(plain)
    return f"it holds markup: {found.group()[:20]!r}" if found else ""


def _links(plain: str, known: Evidence) -> str:
    if "@" in plain:
        return "it holds an @: a mention or an address"
    if link := _LINKS.search(plain):
        return f"it holds a link or an address: {link.group()[:30]!r}"
    for found in _DOTTED.finditer(plain):
        ending = found[1].lower()
        if ending not in _FILES and not (ending in _FILES_OR_SITES and found.group() in known.text):
            return f"it names what could be a site: {found.group()[:60]!r}"
    return ""


def _references(plain: str, known: Evidence) -> str:
    named = [*_REFERENCE.findall(plain), *(("", number) for number in _NAMED.findall(plain))]
    for before, number in named:
        if before or len(number) > _DIGITS or int(number) not in known.references:
            return f"{number[:20]} is no pull request or issue that it may name"
    for key in _LIKE_KEY.findall(_NAMED.sub(" ", plain)):
        if key.upper() not in known.keys and key not in known.spelled and _head(key) not in _STANDARDS:
            return f"{key} is no ticket that it may name"
    for sha in _HEX.findall(plain):
        if not any(commit.startswith(sha.lower()) for commit in known.commits):
            return f"{sha[:12]} is no commit that it may name"
    return ""


def _numbers(plain: str, known: Evidence) -> str:
    for number in _NUMBER.findall(_HEX.sub(" ", _LIKE_KEY.sub(" ", plain))):
        if not {number, number.replace(",", "")} & known.numbers:
            return f"the number {number[:20]} is in no evidence"
    return ""


def _claims(plain: str, _known: Evidence) -> str:
    found = _CLAIMS.search(plain)
    return f"it claims what only people and gates say: {found.group()[:40]!r}" if found else ""


_LOOKS = (_markup, _links, _references, _numbers, _claims)
