"""What a question is about, told by its words: no model is needed to be asked where a release stands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from pilothouse.intent_words import APPROVAL_WORDS


class About(StrEnum):
    """What can be asked without a model."""

    APPROVED = "approved"
    NEXT = "next"
    WHY = "why"
    HELD = "held"
    LIVE = "live"
    STATUS = "status"
    RUNS = "runs"
    PRODUCTS = "products"
    HELP = "help"


# The first that fits counts, so what is more telling stands first.
_SIGNS: dict[About, tuple[str, ...]] = {
    About.APPROVED: (r"\bwho\b.*\b(approv\w*|signed|started|let)\b",),
    About.NEXT: (
        r"\bnext (release|version|one)\b", r"\bin the next\b", r"\bgo(ing|es) out\b", r"\bunreleased\b",
        r"\bwould (ship|go out|be released)\b", r"\bship next\b", r"\bwhat (has |have )?changed\b", r"\bwhat'?s new\b",
    ),
    About.PRODUCTS: (r"\bproducts\b", r"\bwhat can (i|we|you) ship\b"),
    About.HELD: (
        r"\bfr[eo]ez\w*\b", r"\block(s|ed)?\b", r"\bpolicy\b", r"\b(can|could|may) (i|we) (ship|release|deploy)\b",
    ),
    About.WHY: (
        r"^why\b", r"\bwait(s|ing)? for\b", r"\bwhat (now|next)\b", r"\bstuck\b", r"\bwhat went wrong\b",
        r"\b(wanted|expected|needed) (of|from) me\b", r"\bwhat (do|should|must) (i|we) do\b",
    ),
    About.LIVE: (r"\b(what|which|whats|version)\b.*\b(production|prod|live|staging)\b", r"\bwhat('?s| is)? running\b"),
    About.RUNS: (r"\b(which|what|list|show|all)\b.*\bruns\b", r"\bhistory\b"),
    About.STATUS: (
        r"\bwhere (are|is|do|does|r)\b", r"\bstatus\b", r"\bprogress\b", r"\bdone yet\b", r"\bwhen\b",
        r"\bhow('s| is| are| does| far| long| goes)\b", r"\bwhat('?s| is) (happening|going on|up|it doing)\b",
        r"\b(is|are) (it|we) .*\b(done|live|there|over)\b",
    ),
    About.HELP: (r"^(help|hello|hi)\b", r"\bwhat can (you|i) (do|say|ask)\b", r"\bhow do i\b"),
}  # fmt: skip
_COMPILED = tuple((about, re.compile("|".join(patterns))) for about, patterns in _SIGNS.items())
_RUN = re.compile(r"\br-\d{4}-\d\d-\d\d-\d\d(?:-[a-z0-9][a-z0-9-]*)?\b")
_YES = frozenset({
    "yes", "yep", "yeah", "ok", "okay", "approve", "approved", "approving", "lgtm", "confirm", "confirmed", "accept",
    "accepted", "authorize", "authorise", "sure", "proceed",
})  # fmt: skip
_TOKEN = re.compile(r"[A-Za-z]+")


def about(text: str) -> About | None:
    """What a line asks; None where that is not plain."""
    lowered = text.lower().strip().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return next((found for found, pattern in _COMPILED if pattern.search(lowered)), None)


def product_in(text: str, products: Iterable[str]) -> str:
    """The one product that a line names, or an empty string."""
    words = set(re.findall(r"[a-z0-9][a-z0-9._-]*", text.lower()))
    named = [name for name in products if words & {name, f"{name}'s", f"{name}."}]
    return named[0] if len(named) == 1 else ""


def run_in(text: str) -> str:
    """The run that a line names by its id, or an empty string."""
    found = _RUN.search(text.lower())
    return found.group() if found else ""


def means_approval(text: str) -> bool:
    """Whether a line is meant as a yes to a checkpoint: it is no such thing, and the answer is how to approve."""
    words = [word.lower() for word in _TOKEN.findall(text)]
    if not words or text.rstrip().endswith("?"):
        return False
    return words[0] in _YES or words[:2] in (["go", "ahead"], ["go", "for"], ["do", "it"], ["i", "approve"])


def holds_a_word(text: str) -> bool:
    """Whether a line holds a word of approval in its form (capitals): it may be one that lives on some terminal.

    Such a line is neither kept nor given to a model.
    """
    return any(token in APPROVAL_WORDS for token in _TOKEN.findall(text))
