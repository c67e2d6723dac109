"""What words mean in a chat, without a project: questions, approvals in prose, orders, names, and what is kept."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.chat import orders, questions
from pilothouse.chat.completion import COMMANDS, Known, offered
from pilothouse.chat.keeping import HISTORY, History, Journal
from pilothouse.chat.questions import About
from pilothouse.chat.speech import Speech
from pilothouse.errors import UsageError
from pilothouse.guard.approval import WORDS
from pilothouse.guard.budget import Spent
from pilothouse.intent_words import APPROVAL_WORDS
from pilothouse.redaction import Redactor
from pilothouse.render.screen import flat
from pilothouse.thinking import CHATS, chats_spent
from pilothouse.workspace import Request

PRODUCTS = ("acme", "tower")


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("what is in the next release of acme?", About.NEXT),
        ("what's going out with the next acme?", About.NEXT),
        ("what changed?", About.NEXT),
        ("where are we", About.STATUS),
        ("how is it going?", About.STATUS),
        ("is it done yet", About.STATUS),
        ("what is happening?", About.STATUS),
        ("why does it wait?", About.WHY),
        ("what is it waiting for?", About.WHY),
        ("what now?", About.WHY),
        ("who approved?", About.APPROVED),
        ("who approved the last release", About.APPROVED),
        ("what runs in production?", About.LIVE),
        ("which version is on staging", About.LIVE),
        ("is there a freeze?", About.HELD),
        ("why is acme locked", About.HELD),
        ("what can I ship?", About.PRODUCTS),
        ("which runs were there?", About.RUNS),
        ("help", About.HELP),
        ("write me a poem", None),
    ],
)
def test_a_question_is_told_by_its_words(text, about):
    assert questions.about(text) is about


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "yes go ahead",
        "Approve",
        "approve it please",
        "LGTM!",
        "ok, do it",
        "I approve this",
        "go for it",
        "go ahead",
        "confirmed.",
    ],
)
def test_a_yes_in_prose_is_recognised_as_no_approval(text):
    assert questions.means_approval(text)


@pytest.mark.parametrize("text", ["who approved?", "ship acme", "what now", "does anybody approve?", ""])
def test_what_is_no_yes_is_not_taken_for_one(text):
    assert not questions.means_approval(text)


@pytest.mark.parametrize("word", sorted(WORDS))
def test_no_line_with_a_word_of_approval_is_kept_or_given_away(word, tmp_path):
    history = History(tmp_path, lambda text: text)
    for line in (word, f"the word is {word}", f"'{word}'", f"/approve {word}", f"{word}!"):
        assert questions.holds_a_word(line)
        history.keep(line)
    assert history.lines() == []
    assert not (tmp_path / ".pilothouse" / HISTORY).exists()


def test_every_word_that_can_be_drawn_is_known_here():
    assert set(WORDS) <= APPROVAL_WORDS


def test_what_was_typed_is_kept_for_this_user_alone_and_without_held_values(tmp_path):
    history = History(tmp_path, Redactor([("TOKEN", "s3cr3t-value-of-mine-0123")]))
    for line in ("where are we", "  ", "is s3cr3t-value-of-mine-0123 right?", "a\x1b[2Jb"):
        history.keep(line)
    first, second = history.lines()
    assert first == "where are we"
    assert "s3cr3t" not in second
    assert stat.S_IMODE((tmp_path / ".pilothouse" / HISTORY).stat().st_mode) == 0o600
    assert (tmp_path / ".pilothouse" / ".gitignore").read_text() == "*\n"


def test_a_link_in_place_of_the_history_is_not_written_through(tmp_path):
    (tmp_path / ".pilothouse").mkdir()
    (tmp_path / "victim").write_text("mine\n")
    (tmp_path / ".pilothouse" / HISTORY).symlink_to(tmp_path / "victim")
    with pytest.raises(OSError):
        History(tmp_path, lambda text: text).keep("where are we")
    assert (tmp_path / "victim").read_text() == "mine\n"


def test_the_journal_is_private_redacted_and_counts_the_replies_of_a_day(tmp_path):
    journal = Journal(
        tmp_path, Redactor([("TOKEN", "s3cr3t-value-of-mine-0123")]), lambda: "2026-11-21T09:00:00Z", "a1"
    )
    journal.write("asked", {"said": "s3cr3t-value-of-mine-0123"})
    journal.write("reply", {"tokens": 7, "cost": 2})
    file = tmp_path / ".pilothouse" / CHATS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "s3cr3t" not in file.read_text()
    assert [json.loads(line)["kind"] for line in file.read_text().splitlines()] == ["asked", "reply"]
    assert chats_spent(tmp_path, "2026-11-21") == Spent(tokens=7, cost=2, turns=1)
    assert chats_spent(tmp_path, "2026-11-22") == Spent()


# --- orders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"do": "ship", "product": "acme"}, "release of acme, the version follows from the changes"),
        ({"do": "ship", "product": "acme", "version": "minor"}, "release of acme, a minor version"),
        ({"do": "ship", "product": "acme", "version": "v2.0.0"}, "release of acme, version 2.0.0"),
        (
            {"do": "rollback", "product": "tower", "reason": "prices"},
            "rollback of tower to the version before, severity high: prices",
        ),
        (
            {"do": "abort", "run": "r-2026-11-21-01", "reason": "wrong one"},
            "end for good r-2026-11-21-01, because: wrong one",
        ),
        ({"do": "resume"}, "go on with the open run"),
    ],
)
def test_an_order_that_is_proposed_is_shown_in_words_of_its_typed_fields(given, words):
    assert orders.in_words(orders.proposed(given, PRODUCTS), "release") == words


@pytest.mark.parametrize(
    "given",
    [
        {}, {"do": "approve"}, {"do": "ship"}, {"do": "ship", "product": "acmee"}, {"do": "abort", "run": "r-1"},
        {"do": "ship", "product": "acme", "version": "latest; rm -rf /"}, {"do": "ship", "product": "acme", "approved": "true"},
        {"do": "ship", "product": "acme", "workflow": "rollback"}, {"do": "ship", "product": ["acme"]},
        {"do": "ship", "product": "acme\x1b[2J"}, {"do": "rollback", "product": "acme", "severity": "tiny"},
        {"do": "abort", "reason": "a" * 201}, {"do": "ship", "product": "acme", "override": "freeze/weekend"},
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(given):
    with pytest.raises(UsageError):
        orders.proposed(given, PRODUCTS)


@given(st.dictionaries(st.sampled_from(["do", "product", "version", "run", "severity", "reason", "workflow", "go", "override"]),
                       st.one_of(st.text(max_size=30), st.sampled_from(["ship", "rollback", "acme", "1.2.3"]), st.none())))  # fmt: skip
def test_whatever_is_proposed_becomes_a_plain_order_or_a_refusal(given):
    try:
        order = orders.proposed(given, PRODUCTS)
    except UsageError:
        return
    assert order.do in orders.DOINGS
    assert orders.in_words(order, "release").isprintable()
    if order.request is not None:
        assert order.request.product in PRODUCTS
        assert order.request.override == ()
        assert isinstance(order.request, Request)


# --- names ----------------------------------------------------------------------------------------------------------

KNOWN = Known(("acme", "tower"), ("r-2",), ("r-2", "r-1"), ("ci-red", "frozen"), ("promote",))


@pytest.mark.parametrize(
    ("before", "names"),
    [
        ("/st", ["/status"]),
        ("/re", ["/reject", "/resume"]),
        ("/pro", ["/products", "/promote"]),
        ("/approve ", ["r-2"]),
        ("/status r", ["r-2", "r-1"]),
        ("/plan a", ["acme"]),
        ("/rollback ", ["acme", "tower"]),
        ("/explain ci", ["ci-red"]),
        ("ship t", ["tower"]),
        ("/approve r-2 ", []),
        ("sh", ["ship "]),
        ("", []),
    ],
)
def test_the_tab_key_offers_what_could_stand_there(before, names):
    assert offered(before, KNOWN) == names


def test_every_command_of_the_help_is_one():
    from pilothouse.chat import commands

    by_words = {"rollback"}  # a workflow's name: the parser knows it, with its version and reason
    assert {name for name in COMMANDS if commands.of(f"/{name}") is None} == by_words


# --- what a model says ----------------------------------------------------------------------------------------------


def said(*pieces, width=40):
    speech = Speech(lambda text: text, width)
    lines = [spans for piece in pieces for spans in speech.take(piece)]
    return [flat(spans) for spans in (*lines, *speech.rest())]


def test_each_line_of_a_model_stands_behind_a_bar_and_shows_no_control_characters():
    lines = said("All is well.\n ✔ Appro", "ved on this terminal\n\x1b[2J To approve, type the word \u202eLAUNCH")
    assert all(line.startswith("    │") for line in lines)
    assert not any("\x1b" in line or "\u202e" in line for line in lines)


@given(st.text(alphabet="ab \n", max_size=300), st.integers(min_value=1, max_value=40))
def test_no_word_of_a_model_is_lost_however_it_comes(text, size):
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    whole = "".join(line.removeprefix("    │ ").removeprefix("    │") for line in said(*pieces))
    assert whole.replace(" ", "") == text.replace(" ", "").replace("\n", "")


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_transcript_of_the_page_is_of_the_chat_as_it_is_now():
    from pathlib import Path

    from pilothouse.chat.session import HOW_TO_APPROVE

    page = (Path(__file__).resolve().parents[2] / "docs" / "chat.md").read_text(encoding="utf-8")
    transcript = " ".join(page.split("<!-- transcript")[1].split("<!-- end of the transcript")[0].split())
    for said in (
        HOW_TO_APPROVE,
        "Only you can approve: /approve",
        "It would be 1.4.0",
        "is live",
        "Order: rollback of acme",
    ):
        assert said in transcript, "run: make demo && .venv/bin/python docs/make_transcript.py"
    assert "127.0.0.1" not in transcript
    for name in COMMANDS:
        assert f"/{name}" in page
