"""The words of the intent parser: phrases by slot, and the words that make an answer kinder."""

from __future__ import annotations

# Workflows that the phrases can select; one that is not installed is named in the answer, not replaced by another.
RELEASE, ROLLBACK, COORDINATE, PROMOTE = "release", "rollback", "coordinate", "promote"
AUDITED = "promote-audited"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# The approval words (APR-1) in capitals, and what people say for yes: none of them is a request to start something.
APPROVAL_WORDS = _set(
    "DEPLOY RELEASE SHIP LAUNCH PROMOTE CONFIRM PROCEED EXECUTE AUTHORIZE APPROVE PUBLISH DELIVER ACTIVATE ENABLE GO"
)
ASSENT = frozenset({
    "approve", "approved", "i approve", "yes", "yes go ahead", "go ahead", "go", "proceed", "confirm", "confirmed",
    "lgtm", "do it", "yes do it", "sure", "authorize", "accept",
})  # fmt: skip
NEGATIONS = _set(
    "not no never don't dont won't wont can't cant cannot shouldn't shouldnt mustn't isn't doesn't didn't couldn't "
    "wouldn't stop cancel abort halt hold wait avoid without nobody neither nor unless forget skip delay postpone"
)
QUESTIONS = _set(
    "should shall what what's when why how who whose which where if is are was were did does has have may might would "
    "will whether am can could must"
)
SECOND_THOUGHTS = _set("but unless however until later tomorrow maybe perhaps if")

POLITE = ("can you ", "could you ", "would you please ", "will you please ")


def _phrases() -> dict[tuple[str, ...], tuple[str, str]]:
    """Every known phrase (as words) to its slot and value."""
    table: dict[str, dict[str, str]] = {
        "forward": {
            "ship": "ship", "release": "release", "deploy": "deploy", "deployment": "deploy", "roll out": "deploy",
            "rollout": "deploy", "launch": "ship",
        },
        # These start something only together with an environment: "push" alone is what git does.
        "weak": {
            "push": "push", "take": "take", "put": "put", "bring": "bring", "move": "move", "publish": "publish",
            "get": "get", "go live with": "go", "go live": "go", "go": "go",
        },
        "back": {"rollback": "rollback", "roll back": "rollback", "revert": "revert", "undo": "undo", "roll": "roll"},
        "backwards": {"back": "back"},
        "workflow": {
            "coordinate the release": COORDINATE, "coordinate a release": COORDINATE, "coordinate": COORDINATE,
            "the deployment pipeline": COORDINATE, "deployment pipeline": COORDINATE, "release pipeline": COORDINATE,
            "promote version": COORDINATE, "promote the version": COORDINATE, "promote": PROMOTE,
            "promote staging to main": AUDITED, "promote staging": AUDITED, "audited promotion": AUDITED,
            "promote with an audit trail": AUDITED, "promote audited": AUDITED,
        },
        "environment": {
            "production": "production", "prod": "production", "live": "production", "staging": "staging",
            "stage": "staging", "stg": "staging", "dev": "dev", "development": "dev", "preview": "preview", "qa": "qa",
        },
        "bump": {"major": "major", "minor": "minor", "patch": "patch"},
        "severity": {
            f"{before}{word}{after}": word
            for word in ("critical", "high", "medium", "low")
            for before, after in (("severity ", ""), ("", " severity"))
        },
        "dry": dict.fromkeys(
            ("dry run", "dry-run", "dryrun", "simulate", "simulation", "rehearse", "rehearsal"), "yes",
        ),
        "several": {"and": "and", "both": "both", "all": "all", "everything": "everything", "&": "and", "+": "and"},
        "last": dict.fromkeys(("last", "previous", "prior", "current", "old"), "last"),
        "it": {"it": "it", "this": "it"},
        "filler": dict.fromkeys(
            ("a", "an", "the", "our", "my", "of", "for", "to", "into", "in", "on", "onto", "as", "version", "workflow",
             "product", "new", "next", "latest", "please", "kindly", "now", "right now", "right away", "immediately",
             "asap", "thanks", "thank you", "start", "begin", "kick off", "run", "do", "make", "cut", "create",
             "perform", "trigger", "initiate", "out", "just", "i want to", "i want you to", "i'd like to",
             "i'd like you to",
             "i would like to", "i would like you to", "we'd like to", "let's", "lets", "let us", "time to",
             "it's time to", "ok", "okay", "hey", "hi", "hello", "pilothouse", "conductor", "go ahead and", "can you",
             "could you", "would you please", "will you please"),
            "",
        ),
    }  # fmt: skip
    return {tuple(phrase.split()): (slot, value) for slot, words in table.items() for phrase, value in words.items()}


PHRASES = _phrases()
