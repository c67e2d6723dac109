"""Untrusted text is shown as what it is, and held secrets are not shown at all."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse_tools import text

SECRET = 'hunter2/+"s&cret-värde'
redact = text.Redactor([("TOKEN", SECRET), ("SHORT", "abc"), ("UNSET", "")])


@pytest.mark.parametrize(
    "form",
    [
        SECRET, SECRET[::-1], SECRET.encode().hex(), SECRET.encode().hex().upper(), quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1], base64.b64encode(SECRET.encode()).decode(), base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"user:" + SECRET.encode() + b"\n").decode(), base64.b64encode(b"u:" + SECRET.encode()).decode(),
        base64.b64encode(b"us:" + SECRET.encode() + b"!").decode(),
    ],
)  # fmt: skip
def test_a_held_secret_is_redacted_in_every_common_form(form):
    said = redact(f"before {form} after")
    assert form not in said
    assert "[redacted TOKEN]" in said


def test_short_values_do_not_eat_ordinary_words():
    assert redact("abcdef") == "abcdef"


def test_controls_and_bidirectional_marks_are_spelt_out():
    assert text.visible("a\x1b[31mb\u202ec\x00") == "a<U+001B>[31mb<U+202E>c<U+0000>"
    assert text.visible("plain → ä\n\t") == "plain → ä\n\t"


def test_output_keeps_the_end_and_counts_what_it_leaves_out():
    shown = text.output(b"\x1b[32mgreen\x1b[0m\r\n" + b"x" * 100, 50)
    assert shown.startswith("[56 characters left out]\n")
    assert shown.endswith("x" * 50)


def test_markdown_shows_markup_as_text_and_mentions_nobody():
    shown = text.markdown("**bold** <img src=x> [a](b) `c` @team\nnext a@b.test")
    assert shown == "\\*\\*bold\\*\\* &lt;img src=x&gt; \\[a\\](b) \\`c\\` @<!-- -->team next a@b.test"


@given(st.text())
def test_one_line_is_one_visible_line(value):
    line = text.one_line(value, 50)
    assert "\n" not in line
    assert len(line) <= 50
    assert text.visible(line) == line
