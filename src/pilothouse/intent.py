"""Plain words to a typed intent, without a model (INT-1).

The language is closed: every word must be understood, or nothing starts. So a negation, a condition, a time or a
second thought ("ship acme tomorrow", "don't ship acme") needs no list of its own to be harmless; the lists here only
make the answer kinder. A product is taken when its exact name is there, or when there is only one; a look-alike is
offered, never taken.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pilothouse.intent_words import (
    APPROVAL_WORDS,
    ASSENT,
    AUDITED,
    NEGATIONS,
    PHRASES,
    POLITE,
    PROMOTE,
    QUESTIONS,
    RELEASE,
    ROLLBACK,
    SECOND_THOUGHTS,
)

MAX_TEXT = 400
MAX_REASON = 200

_VERSION = re.compile(r"v?((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9a-z.-]+)?)")
_PARTIAL_VERSION = re.compile(r"v?\d+(?:\.\d+)?")
_REASON = re.compile(r"[\s,;:]+(?:because(?: of)?|due to|reason:)\s+", re.IGNORECASE)
_AFTER = re.compile(
    r"(?P<request>.+?)\s+(?:after|when|once)\s+"
    r"(?:(?:the\s+)?(?P<title>sprint(?:\s+[\w.-]+)?)(?:\s+(?:is\s+)?(?:over|done|closed|ends))?"
    r"|(?:the\s+)?milestone\s+(?P<milestone>[\w .-]{1,60}?)(?:\s+is\s+closed)?"
    r"|(?P<other>[a-z][a-z0-9-]*)\s+(?:is\s+)?released)",
    re.IGNORECASE,
)

_LONGEST = max(len(words) for words in PHRASES)


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be started. ``version`` is a whole one (of a rollback: the target), ``bump`` major, minor or patch."""

    workflow: str
    product: str
    version: str | None = None
    bump: str | None = None
    environment: str | None = None
    dry_run: bool = False
    severity: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Clarify:
    """Understood in part: one question, and the answers that there are. Nothing starts."""

    question: str
    choices: tuple[str, ...]
    reason_code: str = "which-product"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not a request to start something, or not one that is understood: why, and what can be said. Nothing starts."""

    message: str
    choices: tuple[str, ...]
    reason_code: str = "not-understood"


@dataclass(frozen=True, slots=True)
class Later:
    """What is to be started once something has happened (INT-2). A sentence registers nothing: configuration does.

    ``on`` and ``name`` are as in ``events`` of pilothouse.yml: milestone-closed and its title (empty: whichever is the
    sprint's), or phase-reached and the other product. ``choices`` would start it now.
    """

    workflow: str
    product: str
    on: str
    name: str
    choices: tuple[str, ...]
    reason_code: str = "needs-event"


Answer = Intent | Clarify | Unknown | Later


@dataclass(slots=True)
class _Heard:
    """The words of one request, sorted by what they are."""

    slots: dict[str, list[str]] = field(default_factory=dict)
    products: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    first_verb: str = ""

    def of(self, slot: str) -> list[str]:
        return self.slots.get(slot, [])


@dataclass(frozen=True, slots=True)
class _World:
    products: tuple[str, ...]
    workflows: tuple[str, ...]
    default_workflow: str
    default_product: str | None

    def examples(self) -> tuple[str, ...]:
        """Sentences that would be understood here."""
        shown = self.products[:3] or ("PRODUCT",)
        forward = tuple(f"ship {name}" for name in shown)
        return (*forward, f"dry run of {shown[0]}", f"roll back {shown[0]}")


def parse(
    text: str,
    products: Sequence[str],
    *,
    workflows: Sequence[str] = (RELEASE, ROLLBACK),
    default_workflow: str = RELEASE,
    default_product: str | None = None,
) -> Answer:
    """What a sentence asks to start.

    Args:
        text: what a person wrote, in a chat, on a command line or over MCP.
        products: the names of pilothouse.yml, lower-case.
        workflows: the names of the installed workflows.
        default_workflow: what plain verbs (ship, release, deploy) start.
        default_product: taken where the sentence names none; without it the only product is, and several are asked for.

    Returns:
        ``Intent``, or a ``Clarify`` or ``Unknown`` that starts nothing.
    """
    world = _World(tuple(products), tuple(workflows), default_workflow, default_product)
    plain = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").strip()
    if not plain or len(plain) > MAX_TEXT or not plain.isprintable():
        return Unknown("I can start a release from one short line of plain words", world.examples())
    body, reason = _split_reason(plain)
    refusal = _not_a_request(body, reason, world)
    if refusal is not None:
        return refusal
    later = _later(body, world) if not reason else None
    if later is not None:
        return later
    slash = re.fullmatch(r"/([a-z][a-z-]*)(?:\s+(.*))?", body.lower())
    chosen: str | None = None
    if slash is not None:
        command, body = slash.group(1), slash.group(2) or ""
        chosen = world.default_workflow if command == "ship" else command
        if chosen not in world.workflows:
            return _no_workflow(chosen, world)
    heard = _listen(_words(body), world)
    if chosen is not None:
        heard.slots.setdefault("workflow", []).append(chosen)
    return _understand(heard, reason, world)


def _later(body: str, world: _World) -> Later | None:
    """A whole request, and after it an event that is known by its form; anything else is not understood as before."""
    parts = _AFTER.fullmatch(body.rstrip("!. "))
    if parts is None:
        return None
    asked = parse(
        parts["request"], world.products, workflows=world.workflows, default_workflow=world.default_workflow,
        default_product=world.default_product,
    )  # fmt: skip
    if not isinstance(asked, Intent) or asked.workflow == ROLLBACK or asked.version or asked.bump or asked.dry_run:
        return None
    now = (parts["request"],)
    if parts["other"]:
        other = parts["other"].lower()
        known = other in world.products and other != asked.product
        return Later(asked.workflow, asked.product, "phase-reached", other, now) if known else None
    return Later(asked.workflow, asked.product, "milestone-closed", _title(parts["title"], parts["milestone"]), now)


def _title(sprint: str | None, milestone: str | None) -> str:
    """The milestone that is meant; "the sprint" alone names none."""
    return milestone or (sprint if sprint and " " in sprint else "") or ""


def _split_reason(text: str) -> tuple[str, str]:
    parts = _REASON.split(text, maxsplit=1)
    return (parts[0], parts[1].strip().rstrip(".")) if len(parts) > 1 else (text, "")


def _words(text: str) -> list[str]:
    # A flag is the word it names, "acme@1.4.0" is two words; what else sticks to a word stays and makes it strange.
    spaced = text.lower().replace(",", " ").replace(";", " ").replace("@", " ").replace("=", " ")
    words = (word.strip("\"'`").rstrip("?!.:").strip("\"'`") for word in spaced.split())
    return [word.removeprefix("--") for word in words if word]


def _not_a_request(text: str, reason: str, world: _World) -> Unknown | None:
    lowered = text.lower()
    words = _words(text)
    if text.rstrip("!. ") in APPROVAL_WORDS or " ".join(words) in ASSENT or lowered.startswith("/approve"):
        message = "I can't take that as an approval, by design: approve at the checkpoint itself"
        return Unknown(message, ("/approve", "pilothouse approve RUN"), "approval")
    denied = [word for word in words if word in NEGATIONS]
    if denied:
        return Unknown(f"That says '{denied[0]}', so nothing was started", world.examples(), "negated")
    polite = any(f" {lowered}".find(f" {phrase}") >= 0 for phrase in POLITE)
    if not polite and ((words and words[0] in QUESTIONS) or lowered.endswith("?")):
        return Unknown("That is a question, so nothing was started", world.examples(), "question")
    second = [word for word in _words(reason) if word in SECOND_THOUGHTS]
    if second or len(reason) > MAX_REASON or reason.endswith("?"):
        what = f"says '{second[0]}'" if second else "is not a plain reason"
        return Unknown(f"The reason {what}, so nothing was started", world.examples(), "not-understood")
    return None


def _listen(words: Sequence[str], world: _World) -> _Heard:
    heard = _Heard()
    phrases: Mapping[tuple[str, ...], tuple[str, str]] = PHRASES | {
        (name,): ("workflow", name) for name in world.workflows if (name,) not in PHRASES
    }
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            found = phrases.get(tuple(words[at : at + length]))
            if found is not None:
                slot, value = found
                heard.slots.setdefault(slot, []).append(value)
                if slot in ("forward", "weak", "back", "workflow") and not heard.first_verb:
                    heard.first_verb = slot
                if length == 1 and words[at] in world.products:
                    heard.slots.setdefault("ambiguous", []).append(words[at])
                at += length
                break
        else:
            _hear_name(words[at], heard, world)
            at += 1
    return heard


def _hear_name(word: str, heard: _Heard, world: _World) -> None:
    version = _VERSION.fullmatch(word)
    if word in world.products:
        heard.products.append(word)
    elif version is not None:
        heard.versions.append(version.group(1))
    elif _PARTIAL_VERSION.fullmatch(word):
        heard.partial.append(word)
    else:
        heard.strange.append(word)


def _understand(heard: _Heard, reason: str, world: _World) -> Answer:
    unclear = _strange(heard, world) or _unclear(heard, world)
    if unclear is not None:
        return unclear
    workflow = _workflow(heard, world)
    if not isinstance(workflow, str):
        return workflow
    unfit = _unfit(heard, workflow, reason, world)
    if unfit is not None:
        return unfit
    product = _product(heard, workflow, world)
    if not isinstance(product, str):
        return product
    return Intent(
        workflow=workflow,
        product=product,
        version=next(iter(heard.versions), None),
        bump=next(iter(heard.of("bump")), None),
        environment=next(iter(heard.of("environment")), None),
        dry_run=bool(heard.of("dry")),
        severity=next(iter(heard.of("severity")), None),
        reason=reason,
    )


def _unfit(heard: _Heard, workflow: str, reason: str, world: _World) -> Answer | None:
    """Why a workflow cannot be started with the rest of what was said."""
    if workflow not in world.workflows:
        return _no_workflow(workflow, world)
    if workflow != ROLLBACK and heard.of("last"):
        # "deploy the previous version" is a way back in the words of a way forward.
        return _forward_or_back(heard)
    if workflow != ROLLBACK and (reason or heard.of("severity")):
        return Unknown("A reason or a severity belongs to a rollback; nothing was started", world.examples())
    environment = next(iter(heard.of("environment")), "production")
    if environment != "production":
        message = f"'{workflow}' does not stop at {environment}: it goes on to production, and asks before"
        one = _one(heard) if heard.products or not world.products else world.products[0]
        return Unknown(message, (f"ship {one}", f"dry run of {one}"), "environment")
    return None


def _strange(heard: _Heard, world: _World) -> Answer | None:
    if not heard.strange:
        return None
    word = heard.strange[0]
    shown = ascii(word[:40])
    starts = any(heard.of(slot) for slot in ("forward", "weak", "back", "workflow", "dry"))
    if starts and len(heard.strange) == 1 and not heard.products:
        close = tuple(difflib.get_close_matches(word, world.products, n=3, cutoff=0.6))
        if close:
            return Clarify(f"There is no product {shown}. Did you mean {' or '.join(close)}?", close)
        return Unknown(f"There is no product {shown}, so nothing was started", world.products, "unknown-product")
    verbs = difflib.get_close_matches(word, ("ship", "release", "deploy", "rollback"), n=1, cutoff=0.7)
    hint = f"; did you mean '{verbs[0]}'?" if verbs and not starts else ""
    return Unknown(f"I do not understand {shown}, so nothing was started{hint}", world.examples())


def _unclear(heard: _Heard, world: _World) -> Answer | None:
    if heard.of("ambiguous"):
        word = heard.of("ambiguous")[0]
        return Clarify(f"'{word}' is a product and a word of mine. Which do you mean?", (f"pilothouse ship {word}",))
    if len(set(heard.products)) > 1 or heard.of("several"):
        return Clarify(
            "One product at a time. Which one first?", tuple(dict.fromkeys(heard.products)) or world.products
        )
    if heard.partial:
        return Clarify(f"'{heard.partial[0]}' is not a whole version. Which one is meant?", ("X.Y.Z",), "which-version")
    for what, said in (
        ("version", (*heard.versions, *heard.of("bump"))),
        ("severity", heard.of("severity")),
        ("environment", heard.of("environment")),
    ):
        several = tuple(dict.fromkeys(said))
        if len(several) > 1:
            return Clarify(f"One {what} at a time. Which one?", several, f"which-{what}")
    return None


def _workflow(heard: _Heard, world: _World) -> str | Answer:
    named = tuple(dict.fromkeys(_installed(name, world) for name in heard.of("workflow")))
    if len(named) > 1:
        return Clarify("Which workflow?", named, "which-workflow")
    back, backwards = heard.of("back"), heard.of("backwards")
    if back or backwards or named == (ROLLBACK,):
        return _way_back(heard, named, world)
    if named:
        return named[0]
    strong = bool(heard.of("forward") or heard.of("dry"))
    weak = bool(heard.of("weak") and heard.of("environment"))
    return world.default_workflow if strong or weak else _nothing(world)


def _installed(name: str, world: _World) -> str:
    """A workflow that a phrase means: "promote" is the audited promotion where there is no other."""
    return AUDITED if name == PROMOTE and PROMOTE not in world.workflows and AUDITED in world.workflows else name


def _way_back(heard: _Heard, named: tuple[str, ...], world: _World) -> str | Answer:
    back, forward = heard.of("back"), heard.of("forward")
    if forward and heard.first_verb in ("forward", "weak"):
        return _nothing(world) if heard.of("backwards") else _forward_or_back(heard)
    whole = [word for word in back if word != "roll"]
    # "roll" needs its "back", and "back" a verb that takes one: "take acme back" does, "ship acme back" does not.
    split = bool(heard.of("backwards") or "roll" in back)
    if split and (whole or not heard.of("backwards") or not (heard.of("weak") or "roll" in back)):
        return _nothing(world)
    if heard.of("bump") or named not in ((), (ROLLBACK,)):
        return _nothing(world)
    has_object = heard.products or forward or heard.versions or heard.of("environment")
    if whole and whole[0] in ("undo", "revert") and not has_object:
        return Clarify(f"{whole[0].capitalize()} what?", (f"roll back {_one(heard)}",), "which-workflow")
    return ROLLBACK


def _nothing(world: _World) -> Unknown:
    return Unknown("I do not see what to start, so nothing was started", world.examples())


def _forward_or_back(heard: _Heard) -> Clarify:
    return Clarify("Forward or back?", (f"ship {_one(heard)}", f"roll back {_one(heard)}"), "which-workflow")


def _one(heard: _Heard) -> str:
    return heard.products[0] if heard.products else "PRODUCT"


def _product(heard: _Heard, workflow: str, world: _World) -> str | Answer:
    if heard.products:
        return heard.products[0]
    if world.default_product is not None:
        return world.default_product
    if len(world.products) == 1:
        return world.products[0]
    if not world.products:
        return Unknown(
            "pilothouse.yml names no product yet",
            ("describe one in pilothouse.yml: docs/configuration.md",),
            "unknown-product",
        )
    verb = "roll back" if workflow == ROLLBACK else "ship"
    return Clarify(f"Which product should I {verb}?", world.products)


def _no_workflow(name: str, world: _World) -> Unknown:
    close = difflib.get_close_matches(name, world.workflows, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return Unknown(f"There is no workflow '{name}' here{hint}", world.workflows, "unknown-workflow")
