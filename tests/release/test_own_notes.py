"""Release notes that a person edited survive a re-run, and are published as they were when they were shown (REL-4)."""

from __future__ import annotations

import pytest

from pilothouse.app import Request, os_user
from pilothouse.errors import RequestRefused
from shipping import refs, rows, ship, state_of

WHO = os_user("test")


def leave(world, text):
    file = world.project / ".pilothouse" / "notes" / "acme-1.4.0.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def published(world):
    return rows(world.folder / "forge.db", "SELECT body FROM releases WHERE tag = 'v1.4.0'")


def test_edited_notes_survive_a_rerun_and_what_was_shown_is_what_is_published(harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world)
    first = app.start(Request("acme"), WHO)
    assert app.follow(first).wait.checkpoint == "go"
    drafted = state_of(app, first).facts()["notes"]
    assert drafted["source"] == "template"
    own = drafted["text"].replace("## New features", "Saved filters, at last!\n\n## New features")
    leave(world, own)
    app.reject(first, WHO, "the notes are dull")

    second = app.start(Request("acme"), WHO)
    assert app.follow(second).wait.checkpoint == "go"
    seen = state_of(app, second).facts()["notes"]
    assert (seen["text"], seen["source"]) == (own, "file")
    # From here on the ledger's text counts: another edit, or a file that is gone bad, is for the next attempt.
    leave(world, "Nobody has seen this.\n")
    app.close()
    later = conduct(world, clock=app.clock)
    later.approve(second, WHO, lambda _card, word: word)
    leave(world, "\x1b")
    assert later.follow(second).state.standing() == "done"
    assert state_of(later, second).facts()["notes"] == seen
    assert published(world) == [(own,)]


def test_notes_that_cannot_be_taken_refuse_before_anything_is_made_and_mended_ones_go_on(harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world)
    before = refs(world)
    leave(world, "# Acme 1.4.0\n\n\u202eoops\n")
    state = ship(app).state
    assert (state.refused.step, state.refused.reason_code) == ("notes", "notes-refused")
    assert state.refused.message == ".pilothouse/notes/acme-1.4.0.md:3: it holds the invisible character U+202E"
    assert refs(world) == before
    leave(world, "# Acme 1.4.0\n\nMended.\n")
    app.resume(state.run, WHO)
    assert app.follow(state.run).wait.checkpoint == "go"
    assert state_of(app, state.run).facts()["notes"]["text"] == "# Acme 1.4.0\n\nMended.\n"


def test_a_standing_approval_does_not_cover_notes_from_the_working_tree(harbour, conduct):
    world = harbour()
    app = conduct(world)
    leave(world, "# Acme 1.4.0\n\nWritten by whoever can write here.\n")
    standing = ship(app)
    assert standing.wait is not None
    assert standing.wait.checkpoint == "go"
    with pytest.raises(RequestRefused):
        app.start(Request("acme"), WHO)
    assert published(world) == []
