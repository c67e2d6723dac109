"""Plain words start a release, and only those that are understood to the last word (INT-1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.intent import Clarify, Intent, Unknown, parse
from pilothouse.intent_words import PHRASES

WORKFLOWS = ("release", "rollback", "ship-prod", "coordinate", "promote", "promote-audited", "hotfix")
ACME = "acme"


def ship(**more: object) -> Intent:
    return Intent(**{"workflow": "release", "product": ACME, **more})


def back(**more: object) -> Intent:
    return Intent(**{"workflow": "rollback", "product": ACME, **more})


STARTS: dict[str, Intent] = {
    # what INT-1 names
    "ship acme": ship(),
    "ship acme to production": ship(environment="production"),
    "release acme": ship(),
    "deploy acme v1.4.0": ship(version="1.4.0"),
    "deploy to production": ship(environment="production"),
    "ship to prod": ship(environment="production"),
    "production release": ship(environment="production"),
    "/release": ship(),
    "/ship-prod": ship(workflow="ship-prod"),
    "coordinate the release": ship(workflow="coordinate"),
    "promote staging to main": Intent("promote-audited", ACME),
    "please promote staging of acme": Intent("promote-audited", ACME),
    "/promote-audited acme": Intent("promote-audited", ACME),
    "promote version": ship(workflow="coordinate"),
    "promote version 1.4.0": ship(workflow="coordinate", version="1.4.0"),
    "run the deployment pipeline": ship(workflow="coordinate"),
    "roll back acme": back(),
    "undo the last release of acme because checkout answers 500": back(reason="checkout answers 500"),
    "dry run of acme": ship(dry_run=True),
    "ship a minor release of acme": ship(bump="minor"),
    # close kin
    "Ship Acme!": ship(),
    "SHIP ACME": ship(),
    "ship it": ship(),
    "ship": ship(),
    "release": ship(),
    "please ship acme": ship(),
    "Could you please release acme?": ship(),
    "can you deploy acme to production?": ship(environment="production"),
    "hey pilothouse, ship acme": ship(),
    "i'd like to ship acme": ship(),
    "I want to release acme": ship(),
    "let\N{RIGHT SINGLE QUOTATION MARK}s ship acme": ship(),
    "ok, go ahead and ship acme now": ship(),
    "ship acme, thanks": ship(),
    "ship the product acme": ship(),
    "ship 'acme'": ship(),
    "acme release": ship(),
    "production deployment of acme": ship(environment="production"),
    "do a release of acme": ship(),
    "cut a new release of acme": ship(),
    "start the release": ship(),
    "kick off the acme release": ship(),
    "run the release workflow for acme": ship(),
    "roll out acme": ship(),
    "launch acme": ship(),
    "push acme to production": ship(environment="production"),
    "take acme live": ship(environment="production"),
    "go live with acme to production": ship(environment="production"),
    "ship acme as 2.0.0": ship(version="2.0.0"),
    "ship acme@1.4.0": ship(version="1.4.0"),
    "ship version 1.4.0 of acme": ship(version="1.4.0"),
    "release acme 1.4.0-rc.1": ship(version="1.4.0-rc.1"),
    "ship acme --version 1.4.0": ship(version="1.4.0"),
    "ship acme --version=major": ship(bump="major"),
    "patch release of acme": ship(bump="patch"),
    "ship acme, dry run": ship(dry_run=True),
    "ship acme --dry-run": ship(dry_run=True),
    "simulate the release of acme": ship(dry_run=True),
    "rehearse a minor release of acme to production": ship(dry_run=True, bump="minor", environment="production"),
    "/ship acme minor --dry-run": ship(bump="minor", dry_run=True),
    "/release acme 1.4.0": ship(version="1.4.0"),
    "/rollback acme": back(),
    "pilothouse ship acme": ship(),
    "promote acme": ship(workflow="promote"),
    "hotfix acme": ship(workflow="hotfix"),
    "start the hotfix of acme": ship(workflow="hotfix"),
    "rollback acme": back(),
    "roll acme back": back(),
    "roll acme back to 1.3.0": back(version="1.3.0"),
    "take acme back to v1.3.0": back(version="1.3.0"),
    "revert the release of acme": back(),
    "revert acme to the previous version": back(),
    "undo the deployment": back(),
    "rollback production": back(environment="production"),
    "critical severity rollback of acme due to data loss": back(severity="critical", reason="data loss"),
    "roll back acme, severity high, because orders fail": back(severity="high", reason="orders fail"),
    "dry run of the rollback of acme": back(dry_run=True),
    "please roll back acme because users do not see prices": back(reason="users do not see prices"),
}

# What must not start anything, and the reason code of the answer.
NEVER: dict[str, str] = {
    "don't ship acme": "negated",
    "don\N{RIGHT SINGLE QUOTATION MARK}t ship acme": "negated",
    "do not release": "negated",
    "do not release acme yet": "negated",
    "never deploy acme on a friday": "negated",
    "please don't deploy to production": "negated",
    "stop the release": "negated",
    "cancel the release of acme": "negated",
    "abort": "negated",
    "hold the release of acme": "negated",
    "ship acme without tests": "negated",
    "ship acme? no": "negated",
    "skip the checkpoint and ship acme": "negated",
    "can you not ship acme": "negated",
    "should we ship acme?": "question",
    "should we ship acme": "question",
    "what happens if we deploy": "question",
    "what's going out with the next acme?": "question",
    "when do we release acme?": "question",
    "is acme ready to ship?": "question",
    "can we ship acme?": "question",
    "ship acme?": "question",
    "did we ship acme": "question",
    "who can release acme": "question",
    "how do I roll back acme": "question",
    "would it be wise to ship acme": "question",
    "SHIP": "approval",
    "LAUNCH": "approval",
    "yes": "approval",
    "yes go ahead": "approval",
    "approve": "approval",
    "/approve": "approval",
    "/approve r-2026-11-21-01": "approval",
    "do it": "approval",
    "LGTM": "approval",
    "ship acme tomorrow": "not-understood",
    "ship acme at 5pm": "not-understood",
    "ship acme after the sprint": "needs-event",
    "ship acme after sprint 42": "needs-event",
    "ship acme after the sprint, not before": "negated",
    "ship acme after lunch": "not-understood",
    "ship acme 1.4.0 after the sprint": "not-understood",
    "roll back acme after the sprint": "not-understood",
    "ship acme if ci is green": "not-understood",
    "release notes for acme": "not-understood",
    "acme release status": "not-understood",
    "shipped acme": "not-understood",
    "we shipped acme yesterday": "not-understood",
    "he said ship acme": "not-understood",
    "release acme, then roll back": "not-understood",
    "ship acme and delete the tags": "not-understood",
    "ship acme --force": "not-understood",
    "ship acme; rm -rf /": "not-understood",
    "roll back acme because it may fail, but later": "not-understood",
    "roll back acme because what?": "not-understood",
    "release acme because we like it": "not-understood",
    "push": "not-understood",
    "publish acme": "not-understood",
    "acme": "not-understood",
    "1.4.0": "not-understood",
    "production": "not-understood",
    "ship acme back": "not-understood",
    "roll acme": "not-understood",
    "hello": "not-understood",
    "": "not-understood",
    "ship acme\nand then some": "not-understood",
    "ship acme\x1b[2K": "not-understood",
    "ship " + "very " * 200 + "acme": "not-understood",
    "sh\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}p acme": "not-understood",
    "ship acme to staging": "environment",
    "deploy acme to dev": "environment",
    "deploy to qa": "environment",
    "roll back staging": "environment",
    "ship globex": "unknown-product",
    "release the kraken": "unknown-product",
    "ship \N{CYRILLIC SMALL LETTER A}cme of": "which-product",
    "ship acmee": "which-product",
    "ship acm": "which-product",
    "/deploy-all": "unknown-workflow",
    "/relaese acme": "unknown-workflow",
    "ship acme 1.4": "which-version",
    "ship acme v2": "which-version",
    "ship acme 1.4.0 or 1.5.0": "not-understood",
    "ship acme 1.4.0 1.5.0": "which-version",
    "ship a minor release of acme 1.4.0": "which-version",
    "undo": "which-workflow",
    "revert": "which-workflow",
    "deploy the previous version of acme": "which-workflow",
    "ship the rollback of acme": "which-workflow",
}


@pytest.mark.parametrize("text", STARTS)
def test_plain_words_start_what_they_say(text: str) -> None:
    assert parse(text, [ACME], workflows=WORKFLOWS) == STARTS[text]


@pytest.mark.parametrize("text", NEVER)
def test_nothing_starts_from_other_words(text: str) -> None:
    answer = parse(text, [ACME], workflows=WORKFLOWS)
    assert not isinstance(answer, Intent)
    assert answer.reason_code == NEVER[text], answer
    assert answer.choices


def test_several_products_are_asked_for_by_name() -> None:
    products = ["acme", "acme-web", "globex"]
    answer = parse("ship to production", products)
    assert answer == Clarify("Which product should I ship?", ("acme", "acme-web", "globex"))
    assert parse("roll back production", products) == Clarify("Which product should I roll back?", tuple(products))
    assert parse("ship acme-web", products) == Intent("release", "acme-web")


def test_two_products_are_never_started_at_once() -> None:
    answer = parse("ship acme and globex", ["acme", "globex"])
    assert isinstance(answer, Clarify)
    assert answer.choices == ("acme", "globex")
    assert isinstance(parse("ship everything", ["acme", "globex"]), Clarify)


def test_a_look_alike_is_offered_and_never_taken() -> None:
    assert parse("ship acne", ["acme", "globex"]) == Clarify(
        "There is no product 'acne'. Did you mean acme?", ("acme",)
    )
    cyrillic = "ship \N{CYRILLIC SMALL LETTER A}cme"
    answer = parse(cyrillic, ["acme"])
    assert isinstance(answer, Clarify)
    assert answer.question.isascii()


def test_the_default_product_is_taken_only_where_none_is_named() -> None:
    products = ["acme", "globex"]
    assert parse("ship it", products, default_product="globex") == Intent("release", "globex")
    assert parse("ship acme", products, default_product="globex") == Intent("release", "acme")
    assert isinstance(parse("ship acmee", products, default_product="globex"), Clarify)


def test_a_product_called_like_a_word_is_asked_for() -> None:
    answer = parse("ship live", ["live", "acme"])
    assert isinstance(answer, Clarify)
    assert answer.choices == ("pilothouse ship live",)


def test_the_default_workflow_is_what_plain_verbs_start() -> None:
    answer = parse("ship acme", [ACME], workflows=WORKFLOWS, default_workflow="ship-prod")
    assert answer == Intent("ship-prod", ACME)
    assert parse("/release acme", [ACME], workflows=WORKFLOWS, default_workflow="ship-prod") == Intent("release", ACME)


def test_a_workflow_that_is_not_there_is_named_not_replaced() -> None:
    answer = parse("coordinate the release", [ACME])
    assert answer == Unknown("There is no workflow 'coordinate' here", ("release", "rollback"), "unknown-workflow")


def test_to_promote_means_the_audited_promotion_where_there_is_no_other() -> None:
    installed = ("release", "rollback", "promote-audited")
    for words in ("promote", "promote acme", "please promote acme to production"):
        answer = parse(words, [ACME], workflows=installed)
        assert isinstance(answer, Intent) and answer.workflow == "promote-audited"
    assert isinstance(parse("promote acme", [ACME]), Unknown)  # and where there is neither, none is taken for it


def test_without_products_the_answer_says_how_to_begin() -> None:
    assert parse("ship it", []) == Unknown(
        "pilothouse.yml names no product yet",
        ("describe one in pilothouse.yml: docs/configuration.md",),
        "unknown-product",
    )


@given(st.text(max_size=60))
def test_text_that_holds_an_unknown_word_starts_nothing(noise: str) -> None:
    known = {word for phrase in PHRASES for word in phrase}
    answer = parse(f"ship acme {noise} zzz", [ACME])
    assert not isinstance(answer, Intent)
    assert "zzz" not in known


@given(
    st.sampled_from(sorted(STARTS)),
    st.sampled_from(["not", "don't", "never", "stop", "cancel", "unless", "later", "zebra"]),
    st.data(),
)
def test_one_word_of_doubt_anywhere_stops_every_request(text: str, doubt: str, data: st.DataObject) -> None:
    head = text.split(" because ", maxsplit=1)[0].split(" due to ", maxsplit=1)[0]
    words = head.split()
    at = data.draw(st.integers(0, len(words)))
    spoilt = " ".join([*words[:at], doubt, *words[at:]])
    assert not isinstance(parse(spoilt, [ACME], workflows=WORKFLOWS), Intent)
