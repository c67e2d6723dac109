"""What a real run tells at its checkpoint, and the state.yml that it leaves: state.yml.example (REL-8, REL-12)."""

from __future__ import annotations

import re
from pathlib import Path

from pilothouse import statefile, yamlfile
from pilothouse.app import Request, os_user
from shipping import follow

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "state.yml.example"
OURS = (
    "# What pilothouse knows"  # the first line that Pilothouse itself writes; above it the example says how it was made
)

# What differs from one world, machine or release of Pilothouse to the next, longest first.
VARIES = (
    (r'"?\b[0-9a-f]{64}\b"?', "<hash>"), (r'"?\b[0-9a-f]{40}\b"?', "<sha>"),
    (r'"?\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"?', "<time>"), (r"\br-\d{4}-\d\d-\d\d-\d\d\b", "<run>"),
    (r"(?m)^( +seq:) \d+$", r"\1 <number>"), (r"rendered_by: pilothouse \S+", "rendered_by: <version>"),
)  # fmt: skip


def plain(text):
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return text


def products(world):
    return yamlfile.load((world.project / statefile.NAME).read_text(), "state.yml").data["products"]


def test_the_example_is_what_a_release_renders(harbour, conduct):
    world = harbour()
    app = conduct(world)
    run = app.start(Request("acme"), os_user("test"))

    standing = app.follow(run)
    assert standing.wait.checkpoint == "go"
    card = standing.state.checkpoints["go"].opened.card
    for told in (
        "acme 1.3.0 → 1.4.0", f"staging {world.urls['staging']}", "Saved filters; faster search", "7 PRs", "0007_item_labels",
        "deploy 1.3.0", "about 2 minutes", "load above 50 requests a second", "SHORT", f"pilothouse status {run} --notes",
        "to production", "tag v1.4.0", "And only if it goes wrong (rollback):",
    ):  # fmt: skip
        assert told in card, told
    waiting = products(world)["acme"]
    assert (waiting["phase"], waiting["checkpoint"], waiting["run"]) == ("go", "go", run)
    assert waiting["version"] == "1.3.0"  # what users have, not what is on its way
    assert f"pilothouse approve {run}" in waiting["next_action"]
    assert {"task": "Readiness", "state": "done"} in waiting["tasks"]
    assert "last_release" not in waiting

    assert follow(app, run).state.standing() == "done"
    rendered = (world.project / statefile.NAME).read_text()
    example = EXAMPLE.read_text()
    assert plain(rendered) == plain(example[example.index(OURS) :])


def test_the_example_is_strict_yaml_with_a_word_on_how_it_was_made():
    example = EXAMPLE.read_text()
    assert "docs/make_picture.py" in example[: example.index(OURS)]
    acme = yamlfile.load(example, EXAMPLE.name).data["products"]["acme"]
    assert acme.keys() >= {"phase", "version", "last_release", "last_activity", "tasks"}
    assert acme["tasks"] == []
