"""Untrusted text on the card shows what it is: look-alike letters are marked, other languages stay readable (APR-5)."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.render.text import safe, visible_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("r\u0435lease", "r<U+0435>lease"),  # Cyrillic in a Latin word
        ("fix: p\u0430ypal login", "fix: p<U+0430>ypal login"),
        ("approved by \u0421\u0415\u041e", "approved by <U+0421><U+0415><U+041E>"),  # wholly Cyrillic, looks like CEO
        ("\u0430dmin", "<U+0430>dmin"),
        ("g\u03bf", "g<U+03BF>"),  # Greek omicron
        ("\uff27\uff2f", "<U+FF27><U+FF2F>"),  # full width
        ("\U0001d406\U0001d40e now", "<U+1D406><U+1D40E> now"),  # mathematical bold
        ("pa\u0261e", "pa<U+0261>e"),  # phonetic g
        ("v1.\uff10", "v1.<U+FF10>"),
        ("\u0441\u043e\u0440\u0435 v2", "<U+0441><U+043E><U+0440><U+0435> v2"),  # "cope" in Cyrillic
        ("a\u2028b\u2029c", "a<U+2028>b<U+2029>c"),  # line breaks in disguise
        ("a\u3164b\u2800c", "a<U+3164>b<U+2800>c"),  # blanks in disguise
        ("a\U000e0101b", "a<U+E0101>b"),
    ],
)
def test_what_looks_like_something_else_is_marked(text, shown):
    assert safe(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "feat: добавить экспорт отчётов и поиск",
        "Исправлена ошибка: а также с этим и о том, у кого",
        "сухо и тепло, хор поёт",
        "διόρθωση σφάλματος στη σύνδεση",
        "修复登录页面的错误",
        "ログイン画面のバグを修正",
        "로그인 오류 수정",
        "تصحيح خطأ",
        "Änderung für Größe, naïve café, Łódź, İstanbul, ação",
        "price in €, 5 µs, Δt, π, x², №5, ½, 10 Ω",
        "deploy \u2764\ufe0f \U0001f680 done",
        "fix(ui): Բարև աշխարհ",
    ],
)
def test_honest_words_of_any_language_stay_readable(text):
    assert safe(text) == text


def test_a_look_alike_hides_behind_no_honest_neighbour():
    assert safe("одобрено: approved by \u0421\u0415\u041e") == "одобрено: approved by <U+0421><U+0415><U+041E>"


@given(st.text(max_size=300))
def test_whatever_comes_in_one_bounded_visible_line_goes_out(text):
    shown = safe(text)
    assert len(shown) <= 200
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1


@given(st.text(alphabet="aeopcyx\u0430\u0435\u043e\u0440\u0441\u0443\u0445", min_size=2, max_size=8))
def test_no_two_different_words_of_look_alikes_look_the_same(word):
    twin = word.translate(str.maketrans("\u0430\u0435\u043e\u0440\u0441\u0443\u0445", "aeopcyx"))
    if twin != word:
        assert safe(word) != word


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=50)))
def test_json_on_a_stream_shows_no_raw_control_and_says_the_same(value):
    for indent in (None, 1):
        shown = visible_json(value, indent)
        assert json.loads(shown) == value
        raw = {unicodedata.category(char) for char in shown.replace("\n", "")}
        assert not raw & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
