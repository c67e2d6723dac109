"""What is typed is the word, exactly, or it is nothing: every way we know to come close, for every word (APR-1, APR-2)."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest

from approvals.quay import START
from pilothouse.events import WordDrawn, WordSpent
from pilothouse.guard.approval import ABORT, WORDS, entry_matches

CYRILLIC = str.maketrans("ABCEHKMOPTXYISL", "\u0410\u0412\u0421\u0415\u041d\u041a\u041c\u041e\u0420\u0422\u0425\u04ae\u0406\u0405\u216c")  # fmt: skip
GREEK = str.maketrans("ABEHIKMNOPTXYZL", "\u0391\u0392\u0395\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a7\u03a5\u0396\u216c")  # fmt: skip


def shifted(start, first="A"):
    return lambda word: "".join(chr(start + ord(letter) - ord(first)) for letter in word)


def inside(mark):
    return lambda word: word[:1] + mark + word[1:]


SPOILT = {
    "lower": str.lower,
    "title": str.title,
    "one small letter": lambda word: word[:-1] + word[-1].lower(),
    "first small": lambda word: word[0].lower() + word[1:],
    "space before": " {}".format,
    "space after": "{} ".format,
    "tab after": "{}\t".format,
    "no-break space": "{}\u00a0".format,
    "ideographic space": "\u3000{}".format,
    "newline": "{}\n".format,
    "carriage return": "{}\r".format,
    "crlf": "{}\r\n".format,
    "newline before": "\n{}".format,
    "two lines": "{0}\n{0}".format,
    "line separator": "{}\u2028".format,
    "vertical tab": "{}\x0b".format,
    "bracketed paste": "\x1b[200~{}\x1b[201~".format,
    "coloured": "\x1b[1m{}\x1b[0m".format,
    "nul after": "{}\x00".format,
    "nul inside": inside("\x00"),
    "backspace": "X\b{}".format,
    "delete": "{}X\x7f".format,
    "right-to-left override": "\u202e{}\u202c".format,
    "left-to-right mark": "\u200e{}".format,
    "isolate": "\u2066{}\u2069".format,
    "reversed by override": lambda word: "\u202e" + word[::-1],
    "reversed": lambda word: word[::-1] + "!",  # no word is another one backwards; the mark keeps it so
    "zero-width space": inside("\u200b"),
    "zero-width joiner": inside("\u200d"),
    "zero-width non-joiner": "{}\u200c".format,
    "word joiner": inside("\u2060"),
    "byte order mark": "\ufeff{}".format,
    "soft hyphen": inside("\u00ad"),
    "variation selector": "{}\ufe0f".format,
    "tag characters": "{}\U000e0041".format,
    "combining dot": "{}\u0307".format,
    "combining grapheme joiner": inside("\u034f"),
    "cyrillic": lambda word: spelt(word, CYRILLIC),
    "greek": lambda word: spelt(word, GREEK),
    "fullwidth": shifted(0xFF21),
    "mathematical bold": shifted(0x1D400),
    "circled": shifted(0x24B6),
    "squared": shifted(0x1F130),
    "decomposed": lambda word: unicodedata.normalize("NFD", word + "\u00c9"),
    "twice": "{0}{0}".format,
    "prefix": lambda word: word[:-1],
    "suffix": lambda word: word[1:],
    "quoted": '"{}"'.format,
    "full stop": "{}.".format,
    "in a sentence": "yes, {}".format,
    "as json": '{{"word": "{}"}}'.format,
    "escaped": lambda word: "".join(f"\\x{ord(letter):02x}" for letter in word),
    "percent": lambda word: "".join(f"%{ord(letter):02X}" for letter in word),
    "with an option": "--word={}".format,
    "all words": lambda _word: " ".join(WORDS),
    "a pattern": lambda _word: ".*",
    "star": lambda _word: "*",
    "empty": lambda _word: "",
    "yes": lambda _word: "yes",
    "y": lambda _word: "y",
    "true": lambda _word: "True",
    "abort in small": lambda _word: "abort",
    "long": lambda word: word * 5000,
}


def spelt(word, letters):
    """A word in look-alike letters; where it has none of them, a mark makes it another word all the same."""
    told = word.translate(letters)
    return told if told != word else f"{word}\u0300"


UNTIL = (START + timedelta(minutes=15)).isoformat()


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("how", SPOILT, ids=[name.replace(" ", "-") for name in SPOILT])
def test_no_spelling_of_a_word_is_the_word(how, word):
    entered = SPOILT[how](word)
    assert entered != word, "the case does not spoil anything"
    assert not entry_matches(word, entered, UNTIL, START)


@pytest.mark.parametrize("how", SPOILT, ids=[name.replace(" ", "-") for name in SPOILT])
def test_what_is_not_the_word_approves_nothing_and_spends_it(quay, how):
    run = quay.waiting()
    assert run.type(SPOILT[how]) == "word-wrong"
    assert run.approvals() == []
    spent = run.facts()[-1]
    assert isinstance(spent, WordSpent)
    assert not spent.matched
    assert len(spent.entered) <= 64
    assert not run.approved


@pytest.mark.parametrize("other", WORDS)
def test_another_word_of_the_list_is_not_the_word(quay, other):
    run = quay.waiting()
    refused = run.type(lambda word: other if other != word else WORDS[WORDS.index(word) - 1])
    assert refused == "word-wrong"
    assert not run.approved


@pytest.mark.parametrize("word", WORDS)
def test_the_word_itself_opens_the_checkpoint_and_only_it(word):
    assert entry_matches(word, word, UNTIL, START)
    assert not entry_matches(word, word, START.isoformat(), START)
    assert not entry_matches(word, ABORT, UNTIL, START)


def test_the_word_typed_exactly_approves(quay):
    run = quay.waiting()
    assert run.type() == "ok"
    assert run.approved
    assert [given.who for given in run.approvals()] == ["ceo"]


def test_words_of_before_are_spent(quay):
    run, seen = quay.waiting(), []
    assert run.type(lambda word: seen.append(word) or "no") == "word-wrong"
    assert run.type(lambda word: seen.append(word) or seen[0]) == "word-wrong"  # never drawn twice in a row
    assert seen[0] != seen[1]
    assert run.type(lambda word: seen.append(word) or seen[1]) == "words-spent"
    assert run.state.standing() == "aborted"
    assert run.type() in {"run-over", "nothing-to-approve"}
    assert not run.approved


@pytest.mark.parametrize("attempt", range(5))
def test_the_last_runs_word_is_not_drawn_again_and_approves_nothing(quay, attempt):
    first, seen = quay.waiting(), []
    assert first.type(lambda word: seen.append(word) or word) == "ok"
    first.tell(*ended())
    second = quay.waiting(run=f"r-2026-11-21-1{attempt}", journal=first.journal)
    assert second.type(lambda word: seen.append(word) or seen[0]) == "word-wrong"
    assert seen[0] != seen[1]
    assert not second.approved


def ended():
    from pilothouse.events import Aborted

    return [Aborted("bob", "terminal", "enough")]


def test_the_word_is_in_no_record_while_it_lives(quay):
    run, held = quay.waiting(card="a card"), []

    def look(word):
        kept = b"".join(data for _, _, data in run.journal.entries("acme"))
        drawn = run.facts()[-1]
        held.append((isinstance(drawn, WordDrawn), f'"{word}"'.encode() in kept))
        return word

    assert run.type(look) == "ok"
    assert held == [(True, False)]
