"""People are told once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pilothouse.errors import ToolFailed
from pilothouse.model import Presence
from pilothouse.settings import Notice

TOLD = {"event": "released", "body": "Acme 1.4.0 is out \x1b[31m"}


def lines(small):
    return [json.loads(line) for line in (small.clone / ".pilothouse/notices.jsonl").read_bytes().splitlines()]


def test_a_notice_is_told_once_on_each_channel(small, do, capsys):
    box = small.toolbox()
    seen, done = do(box, "notify.send", TOLD)
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    do(small.toolbox(scratch="elsewhere"), "notify.send", TOLD)
    assert capsys.readouterr().err == "Acme 1.4.0 is out <U+001B>[31m\n"
    assert [(line["key"], line["event"], line["product"]) for line in lines(small)] == [("k-1", "released", "acme")]


def test_half_a_line_from_a_crash_is_not_taken_for_a_notice(small, do):
    file = small.clone / ".pilothouse/notices.jsonl"
    file.parent.mkdir()
    file.write_bytes(b'{"key": "k-1", "eve')
    _, done = do(small.toolbox(), "notify.send", TOLD)
    assert done.presence is Presence.APPLIED
    assert json.loads(file.read_bytes().splitlines()[1])["key"] == "k-1"


def test_a_key_within_another_notices_text_is_no_notice(small, do):
    do(small.toolbox(), "notify.send", {**TOLD, "body": "about k-2"}, "k-1")
    assert small.toolbox().probe("notify.send", TOLD, "k-2").presence is Presence.ABSENT


def test_a_symbolic_link_is_not_followed(small, do):
    (small.clone / ".pilothouse").mkdir()
    (small.clone / ".pilothouse/notices.jsonl").symlink_to(small.folder / "elsewhere.txt")
    with pytest.raises(ToolFailed) as refused:
        do(small.toolbox(), "notify.send", TOLD)
    assert refused.value.reason_code == "notify-path"


@pytest.mark.parametrize("path", ["../out.jsonl", "/etc/x", ".git/config", "a/../../x"])
def test_a_path_out_of_the_project_is_refused(small, do, path):
    product = replace(small.product, notify=(Notice("file", path),))
    with pytest.raises(ToolFailed) as refused:
        do(small.toolbox(product), "notify.send", TOLD)
    assert refused.value.reason_code == "notify-path"


def test_no_channel_means_nothing_to_tell(small):
    box = small.toolbox(replace(small.product, notify=()))
    assert box.probe("notify.send", TOLD, "k-1").presence is Presence.APPLIED
