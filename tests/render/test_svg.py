"""The picture of a run is well-formed, whole, and holds nothing but text and shapes."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from pilothouse.render.svg import WIDTH, picture
from render import story
from render.story import Story

TELLINGS: tuple[Callable[[], Story], ...] = (
    story.refused, story.waiting, story.watching, story.done, story.rolled_back, story.crashed, story.hostile, story.held,
)  # fmt: skip


def drawn(made: Story) -> ET.Element:
    return ET.fromstring(picture(made.state, made.times, made.now))


@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: telling.__name__)
def test_a_picture_is_well_formed_and_stays_within_its_frame(telling: Callable[[], Story]) -> None:
    root = drawn(telling())
    height = float(root.attrib["height"])
    for node in root.iter():
        assert node.tag.rpartition("}")[2] in {"svg", "rect", "text", "tspan", "line", "circle", "path", "g"}
        assert 0 <= float(node.get("y", 0)) <= height
        assert 0 <= float(node.get("x", 0)) <= WIDTH


@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: telling.__name__)
def test_no_text_runs_out_of_the_picture(telling: Callable[[], Story]) -> None:
    for node in drawn(telling()).iter():
        if node.tag.endswith("text") and node.get("text-anchor") is None:
            widest = float(node.attrib["x"]) + 0.56 * float(node.attrib["font-size"]) * len("".join(node.itertext()))
            assert widest <= WIDTH, "".join(node.itertext())


def test_a_picture_tells_the_timeline_and_the_card() -> None:
    text = " ".join(drawn(story.waiting()).itertext())
    assert "Regression" in text
    assert "QA Engineer" in text
    assert "Approving does this, and nothing else:" in text


def test_a_picture_of_a_shipped_run_holds_its_report() -> None:
    assert "acme 1.4.0 is live" in " ".join(drawn(story.done()).itertext())


def test_markup_that_strangers_wrote_is_text() -> None:
    made = story.hostile()
    source = picture(made.state, made.times, made.now)
    assert "<script" not in source
    assert "&lt;script&gt;" in source
