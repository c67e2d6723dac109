"""Strict YAML: what people write is understood exactly, or refused with the line and what to write instead."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse import yamltext
from pilothouse.errors import InvalidFile
from pilothouse.yamlfile import UNSAFE, Reader, load, load_file, suggest

SETTINGS = settings(deadline=None)  # a busy machine is no failure

TEXT = """\
# a workflow
name: release
yes: no          # 1.2: both are text
version: 1.10
since: 2026-11-21
sha: 0123456
count: -5
on: true
nothing:
empty: ""
steps:
  - id: tag
    with: {tag: v1, force: false}

  - id: push
    needs:
    - tag
    - test
script: |
  one: line
  "two"
"""


def test_values_are_what_is_written() -> None:
    assert load(TEXT, "f.yml").data == {
        "name": "release",
        "yes": "no",
        "version": "1.10",
        "since": "2026-11-21",
        "sha": "0123456",
        "count": -5,
        "on": True,
        "nothing": None,
        "empty": "",
        "steps": [{"id": "tag", "with": {"tag": "v1", "force": False}}, {"id": "push", "needs": ["tag", "test"]}],
        "script": 'one: line\n"two"\n',
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("name",), 2),
        (("nothing",), 9),
        (("steps",), 11),
        (("steps", 0), 12),
        (("steps", 0, "with", "force"), 13),
        (("steps", 1), 15),
        (("steps", 1, "needs"), 16),
        (("steps", 1, "needs", 1), 18),
        (("steps", 1, "absent"), 15),
        (("steps", 7), 11),
        (("script",), 19),
    ],
)
def test_every_key_and_item_knows_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert load(TEXT, "f.yml").line(path) == line
    assert load(TEXT.replace("\n", "\r\n"), "f.yml").line(path) == line
    assert load(TEXT, "f.md", first_line=101).line(path) == line + 100


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, "twice, first on line 1"),
        ("a:\n  b: {c: 1, c: 2}", 2, "'c' is there twice"),
        ('a: 1\n"a": 2', 2, "twice"),
        ("a: &x 1", 1, "anchor &x"),
        ("a: &x {b: 1}", 1, "anchor"),
        ("a: 1\nb: *x", 2, "alias *x"),
        ("<<: {a: 1}", 1, "merge key"),
        ("a: !!str 1", 1, "tag"),
        ("a: !python/object x", 1, "tag"),
        ("a: !<x> [1]", 1, "tag"),
        ("a: ! b", 1, "tag"),
        ("1: a", 1, "key 1 is no text"),
        ("true: a", 1, "key true is no text"),
        ("1.5: a", 1, "key 1.5 is no text"),
        ("~: a", 1, "is no text"),
        ("? [a]\n: b", 1, "is no text"),
        ("? {a: b}\n: b", 1, "is no text"),
        ("a:\n\tb: 1", 2, "a tab"),
        ("a: b\tc", 1, "a tab"),
        ("\ufeffa: 1", 1, "byte order mark"),
        ("a: 1\nb: \x07", 2, "U+0007"),
        ("a: 1\nb: \x85", 2, "U+0085"),
        ("a: 1 \u2028b: 2", 1, "U+2028"),
        ("a: b\rc: d", 1, "U+000D"),
        ("a: \u202egnp.exe", 1, "U+202E"),
        ('a: "\\0"', 1, "U+0000"),
        ('a: 1\nb: "\\u202e"', 2, "U+202E"),
        ('a: "\\ud800"', 1, "U+D800"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("%YAML 1.1\n---\na: 1", 2, "directive"),
        ("%TAG ! tag:x,2000:\n---\na: 1", 2, "directive"),
        ("", 0, "empty"),
        ("# only a comment\n", 0, "empty"),
        ("---\n", 0, "empty"),
        ("null", 0, "empty"),
        ("[" * 60 + "]" * 60, 1, "deeper than 40"),
        ("\n".join(" " * depth + "a:" for depth in range(60)), 41, "deeper than 40"),
        ("a: 9007199254740993", 1, "too large"),
        ("a: b: c", 1, "mapping values are not allowed"),
        ("a: @b", 1, "cannot start any token"),
        ("a: 'b", 1, "is no YAML"),
        ("a: [1, 2", 1, "is no YAML"),
        ("a: 1\n b: 2", 2, "is no YAML"),
        ("a: 1\nb", 2, "is no YAML"),
        ("]", 1, "is no YAML"),
    ],
)
def test_what_is_not_strict_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        load(text, "pilothouse.yml")
    assert words in caught.value.message
    assert caught.value.line == line
    assert caught.value.message.startswith(f"pilothouse.yml:{line}: " if line else "pilothouse.yml: ")


def test_forty_levels_are_deep_enough() -> None:
    assert load("[" * 40 + "]" * 40, "f").data


def test_a_hostile_file_is_refused_in_time() -> None:
    bomb = "a: &a [x]\n" + "".join(f"k{n}: &b{n} [*a, *a]\n" for n in range(1000))
    begun = time.monotonic()
    for text in ("[" * 900_000, bomb, "{" * 900_000, "? " * 100_000):
        with pytest.raises(InvalidFile):
            load(text, "f")
    with pytest.raises(InvalidFile, match="larger"):
        load("a: " + "x" * 1_000_001, "f")
    assert time.monotonic() - begun < 5


def test_a_usual_file_is_read_quickly() -> None:
    text = "steps:\n" + "".join(f"  - id: step-{n}\n    with: {{a: 1, b: [x, y]}}  # why\n" for n in range(100))
    load(text, "f")
    begun = time.process_time()
    load(text, "f")
    assert time.process_time() - begun < 0.5


def test_a_file_is_named_as_the_person_knows_it(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(InvalidFile, match=r"^agents/x\.yml:1: is not UTF-8"):
        load_file(file, "agents/x.yml")
    file.write_bytes(b"\xff\xfea\x00")
    with pytest.raises(InvalidFile, match="UTF-8"):
        load_file(file)
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    with pytest.raises(InvalidFile, match="byte order mark"):
        load_file(file)
    file.write_bytes(b"#" * 1_000_001)
    with pytest.raises(InvalidFile, match="larger"):
        load_file(file)
    for unreadable in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InvalidFile, match="cannot be read"):
            load_file(unreadable)
    file.write_text("a: ü", encoding="utf-8")
    assert load_file(file).data == {"a": "ü"}


@pytest.mark.parametrize(
    ("word", "answer"),
    [("gate", "did you mean 'gates'?"), ("Gates", "did you mean 'gates'?"), ("on-failure", "did you mean 'on_failure'?"),
     ("zzz", ""), ("", "")],
)  # fmt: skip
def test_a_word_near_a_known_one_is_suggested(word: str, answer: str) -> None:
    assert suggest(word, ["gates", "on_failure", "with"]) == answer


def reader(text: str, *at: str | int) -> Reader:
    return Reader(load(text, "w.yml"), at)


def test_a_reader_gives_what_is_asked_for() -> None:
    read = reader(
        "id: tag\nretry: 3\nforce: false\nwith: {a: 1}\nneeds: [a, b]\nsteps: [{id: x}]\nenvs: {staging: {url: u}}"
    )
    assert read.required("id", str) == "tag"
    assert read.required("retry", int) == 3
    assert read.optional("force", bool, True) is False
    assert read.optional("absent", str, None) is None
    assert read.optional("with", dict, {}) == {"a": 1}
    assert read.texts("needs") == ("a", "b")
    assert read.texts("reads", ()) == ()
    assert [step.required("id", str) for step in read.sections("steps")] == ["x"]
    assert {name: env.required("url", str) for name, env in read.named("envs").items()} == {"staging": "u"}
    assert read.sections("none") == ()
    assert read.named("nobody") == {}
    assert "id" in read
    assert read.section("with").required("a", int) == 1
    read.done()


def test_an_unknown_key_is_refused_with_a_suggestion() -> None:
    read = reader("steps:\n  - id: a\n    gaets: [x]", "steps", 0)
    read.required("id", str)
    read.texts("gates", ())
    with pytest.raises(InvalidFile) as caught:
        read.done()
    assert (caught.value.line, caught.value.hint) == (3, "did you mean 'gates'?")
    assert caught.value.message == "w.yml:3: unknown key 'gaets' in steps[1]"
    other = reader("zzz: 1")
    other.optional("id", str, "")
    with pytest.raises(InvalidFile) as caught:
        other.done()
    assert caught.value.hint == "known: id"


@pytest.mark.parametrize(
    ("text", "kind", "words", "hint"),
    [
        ("a:\nb: 1", str, "a must be text, not nothing", ""),
        ("a: 5", str, "a must be text, not the number 5", "Put it in quotes."),
        ("a: true", str, "a must be text, not true", "Put it in quotes."),
        ("a: yes", bool, "a must be true or false, not 'yes'", ""),
        ("a: true", int, "a must be a whole number, not true", ""),
        ("a: 1.5", int, "a must be a whole number, not '1.5'", ""),
        ("a: x", list, "a must be a list, not 'x'", ""),
        ("a: [x]", dict, "a must be a mapping, not a list", ""),
        ("a: {b: c}", list, "a must be a list, not a mapping", ""),
        ("b: 1", str, "the key 'a' is missing", ""),
    ],
)
def test_a_wrong_or_missing_value_is_told(text: str, kind: type[Any], words: str, hint: str) -> None:
    with pytest.raises(InvalidFile, match=words) as caught:
        reader(text).required("a", kind)
    assert caught.value.hint == hint
    assert caught.value.line == 1


def test_an_optional_key_that_is_there_must_have_a_value() -> None:
    with pytest.raises(InvalidFile, match="not nothing"):
        reader("x: 1\na:").optional("a", str, "default")


def test_places_are_named_to_the_item() -> None:
    text = "x: 1\nsteps:\n  - id: a\n    needs:\n      - b\n      - 5\n  - six"
    with pytest.raises(InvalidFile, match=r"^w\.yml:6: steps\[1\]\.needs: item 2 must be text, not the number 5"):
        reader(text, "steps", 0).texts("needs")
    with pytest.raises(InvalidFile, match=r"^w\.yml:7: steps\[2\] must be a mapping, not 'six'"):
        reader(text).sections("steps")
    with pytest.raises(InvalidFile, match=r"^w\.yml:1: the document must be a mapping, not a list"):
        reader("[]")
    assert str(reader(text).refuse("no", "steps", "go")) == "w.yml:2: no"


texts = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: UNSAFE.sub("", text))
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15) + 1, 10**15 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@SETTINGS
@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_what_is_written_reads_back_the_same(value: dict[str, Any]) -> None:
    assert load(yamltext.block(value, 0), "f").data == value
    assert load(yamltext.flow(value), "f").data == value


@pytest.mark.parametrize("text", ["yes", "Null", "on", "0123456", "1.10", "1e5", "2026-11-21", "~", "- a", "a: b", "a #b",
                                  "", " a", "a ", "@x", "|", "*a", "12:30", "=", "<<", "a:", "{", "\n", "\U0001f6a2"])  # fmt: skip
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    assert load(f"a: {yamltext.scalar(text)}", "f").data == {"a": text}
