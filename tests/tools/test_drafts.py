"""Drafts: complete, escaped, and made by templates that can only show."""

from __future__ import annotations

import pytest

from pilothouse.errors import ToolFailed
from pilothouse_tools import templates

CONTENTS = {
    "commits": 3, "files": 2, "insertions": 10, "deletions": 4, "other": 1, "omitted": 0, "authors": ["Ada"], "pulls": [7], "tickets": [],
    "features": [{"sha": "a" * 40, "summary": "<b>bold</b> @all", "scope": "", "number": 7, "author": "Ada"},
                 {"sha": "b" * 40, "summary": "no pull request", "scope": "api", "number": 0, "author": "Ada"}],
    "fixes": [], "improvements": [{"sha": "c" * 40, "summary": "quick", "scope": "", "number": 8, "author": "Ada"}],
    "dependencies": [{"name": "left-pad", "old": "1.0", "new": "1.1", "number": 9}],
    "breaking": [{"summary": "no more XML", "migration": "send JSON", "number": 7}],
}  # fmt: skip


def notes(still, **changes):
    arguments = {"version": "2.0.0", "previous": "1.3.0", "date": "2026-11-21", "contents": CONTENTS,
                 "pulls": {"pulls": [{"number": 7, "author": "ada", "title": "x"}], "missing": []}, **changes}  # fmt: skip
    return still.toolbox().observe("notes.render", arguments).facts


def test_notes_hold_every_part_with_references_and_escape_foreign_text(still):
    made = notes(still)
    assert (
        made["text"]
        == """# Acme 2.0.0

2026-11-21 · since 1.3.0

&lt;b&gt;bold&lt;/b&gt; @<!-- -->all; no pull request; 1 improvement; 1 dependency update; 1 breaking change

## Breaking changes

- no more XML (#7)
  Migration: send JSON

## New features

- &lt;b&gt;bold&lt;/b&gt; @<!-- -->all (#7)
- **api:** no pull request (bbbbbbbbbbbb)

## Improvements

- quick (#8)

## Dependency updates

- left-pad 1.0 → 1.1 (#9)

## Contributors

- Ada

3 commits, 2 files (+10 −4); 1 commit without an entry of their own.
"""
    )


def test_notes_of_nothing_are_short(still):
    made = notes(still, contents={"commits": 1}, pulls=None)
    assert made["headline"] == "Maintenance only"
    assert "##" not in made["text"]


def test_a_breaking_change_without_a_migration_says_so(still):
    made = notes(still, contents={"breaking": [{"summary": "x", "migration": "", "number": 1}]})
    assert "Migration: none was described" in made["text"]


def test_a_notice_is_one_line_whatever_the_cause_says(still):
    box = still.toolbox()
    made = box.observe(
        "notice.render",
        {"event": "rolled-back", "version": "1.4.0", "previous": "1.3.0", "url": "https://x/1", "live": ""},
    ).facts
    assert made["text"] == made["headline"] == "Acme 1.4.0: rolled-back https://x/1 [r-1]"
    odd = box.observe("notice.render", {"event": "halted", "why": "a\nb\x1b[2J"}).facts["text"]
    assert odd == "Acme: halted – a b<U+001B>[2J [r-1]"


def test_an_issue_and_its_postmortem_carry_cause_and_timeline(still):
    box = still.toolbox()
    story = {"version": "1.4.0", "previous": "1.3.0", "why": "error rate 4.1 %"}
    written = box.observe(
        "postmortem.render", {**story, "timeline": ["09:00 started", {"at": "09:01", "text": "failed <x>"}]}
    ).facts["text"]
    assert "- 09:00 started\n- 09:01 failed &lt;x&gt;\n" in written
    assert "Production went back to 1.3.0." in written
    issue = box.observe("issue.render", {**story, "postmortem": written}).facts
    assert issue["title"] == "Acme 1.4.0: error rate 4.1 %"
    assert written in issue["text"]


def test_the_report_ticks_by_evidence(still):
    lists = {"Production": [{"done": True, "text": "healthy", "evidence": "e-014"}, {"done": "yes", "text": "watched"}]}
    told = (
        still.toolbox()
        .observe("report.render", {"version": "1.4.0", "previous": "1.3.0", "url": "https://x", "checklists": lists})
        .facts["text"]
    )
    assert "  ✔ healthy  [e-014]\n  ✘ watched\n" in told


@pytest.mark.parametrize(
    "source",
    ["{{ x.__class__ }}{% set a = 1 %}", "{% macro m() %}{% endmacro %}", "{% include 'x' %}", "{% import 'x' as y %}", "{{ range(9) }}",
     "{{ x | map('upper') }}", "{{ x + 1 }}", "{% extends 'x' %}", "{{ ''.join([]) }}", "{% block b %}{% endblock %}"],
)  # fmt: skip
def test_a_template_that_does_more_than_show_is_refused(source):
    with pytest.raises(ToolFailed) as refused:
        templates.render({"t": source}, "t", {"x": "y"})
    assert refused.value.reason_code == "template-refused"


@pytest.mark.parametrize("source", ["{{ unknown }}", "{{ x.unknown }}", "{% for", "{{ x.__class__ }}"])
def test_a_template_that_fails_says_where(source):
    with pytest.raises(ToolFailed) as failed:
        templates.render({"t": source}, "t", {"x": "y"})
    assert failed.value.reason_code == "template-failed"
    assert failed.value.message.startswith("t")


def test_a_missing_template_is_named(still):
    with pytest.raises(ToolFailed) as failed:
        still.toolbox(templates={}).observe("notice.render", {"event": "x"})
    assert failed.value.reason_code == "template-missing"
