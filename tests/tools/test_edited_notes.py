"""Notes that a person wrote or edited are taken as they are, run after run; a file that cannot be is refused by line."""

from __future__ import annotations

import hashlib
import os

import pytest

from pilothouse.errors import ToolFailed

OWN = "# Acme 2.0.0\n\nWe **rewrote** it. Thanks, everybody – also @ada. <br>\n"


def arguments(**changes):
    return {"version": "2.0.0", "previous": "1.3.0", "date": "2026-11-21", "contents": {"commits": 1}, **changes}


def leave(small, data, name="acme-2.0.0.md"):
    file = small.clone / ".pilothouse" / "notes" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def drafted(small, **changes):
    return small.toolbox().observe("notes.render", arguments(**changes))


def test_a_persons_notes_are_taken_instead_of_the_drafted_and_the_evidence_says_whose_they_are(small):
    before = drafted(small).facts
    assert (before["source"], before["file"], before["file_sha256"]) == ("template", "", "")
    file = leave(small, OWN)
    for _ in range(2):  # every run of that version anew
        seen = drafted(small, sha=small.released)
        assert seen.facts["text"] == OWN
        assert seen.facts["source"] == "file"
        assert seen.facts["file"] == ".pilothouse/notes/acme-2.0.0.md"
        assert seen.facts["file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert seen.facts["file"] in seen.summary
    assert file.read_text() == OWN
    assert drafted(small, version="2.0.1").facts["source"] == "template"  # of one version only
    assert seen.facts["headline"] == before["headline"]  # the title is made from evidence all the same


def test_an_editors_marks_are_no_text(small):
    leave(small, b"\xef\xbb\xbf# Notes\r\n\r\nfine\r\n\r\n\r\n")
    assert drafted(small).facts["text"] == "# Notes\n\nfine\n"


def test_what_is_drafted_can_be_kept_and_comes_back_unchanged(small):
    text = drafted(small).facts["text"]
    leave(small, text)
    assert drafted(small).facts["text"] == text


def test_a_secret_that_a_person_pasted_is_not_published(small):
    small.environ = {**small.environ, "GH_TOKEN": "gh-secret-token"}
    leave(small, "Log in with gh-secret-token.\n")
    assert drafted(small).facts["text"] == "Log in with [redacted GH_TOKEN].\n"


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        ("", 0, "it is empty"),
        (" \n\t\n", 0, "it is empty"),
        (b"# Notes\n\ncaf\xe9\n", 3, "it is not UTF-8"),
        ("# Notes\n\x1b[31mred\n", 2, "it holds the invisible character U+001B"),
        ("# Notes\n\n\nab\u202ecd\n", 4, "it holds the invisible character U+202E"),
        ("a\0b", 1, "it holds the invisible character U+0000"),
        ("<U+001B>\x1b", 1, "it holds the invisible character U+001B"),
        ("a\rb\n", 1, "it holds the invisible character U+000D"),
        ("x" * 60_001, 0, "it is longer than 60000 characters"),
        ("ä" * 60_001 + "\xff" * 200_000, 0, "it is longer than 60000 characters"),
    ],
)
def test_notes_that_cannot_be_taken_are_refused_with_file_and_line(small, data, line, why):
    leave(small, data)
    with pytest.raises(ToolFailed) as refused:
        drafted(small)
    place = ".pilothouse/notes/acme-2.0.0.md" + (f":{line}" if line else "")
    assert (refused.value.reason_code, refused.value.message) == ("notes-refused", f"{place}: {why}")


def test_notes_of_the_greatest_length_are_taken_whole(small):
    leave(small, "ä" * 60_000)
    assert len(drafted(small).facts["text"].rstrip("\n")) == 60_000


@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "directory"])
def test_notes_are_read_through_no_link_and_from_no_pipe(small, tmp_path, kind):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "acme-2.0.0.md").write_text("the machine's own secrets")
    file = leave(small, OWN)
    file.unlink()
    match kind:
        case "file":
            file.symlink_to(tmp_path / "outside" / "acme-2.0.0.md")
        case "folder":
            file.parent.rmdir()
            file.parent.symlink_to(tmp_path / "outside")
        case "pipe":
            os.mkfifo(file)
        case _:
            file.mkdir()
    with pytest.raises(ToolFailed) as refused:
        drafted(small)
    assert refused.value.reason_code == "notes-refused"
    assert "secrets" not in refused.value.message


def test_a_file_that_the_released_commit_brings_is_nobodys_edit(small):
    leave(small, "Buy now at evil.test!\n")
    small.git("add", "-f", ".pilothouse/notes/acme-2.0.0.md")
    sha = small.commit("docs: notes")
    with pytest.raises(ToolFailed) as refused:
        drafted(small, sha=sha)
    assert refused.value.reason_code == "notes-refused"
    assert sha[:12] in refused.value.message
    assert drafted(small, sha=small.released).facts["source"] == "file"
