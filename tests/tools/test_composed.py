"""What an agent composes for a draft: shown where it holds, refused where it does not, and never instead of evidence."""

from __future__ import annotations

import json

import pytest

from pilothouse.errors import ToolFailed
from pilothouse_tools.draft import DRAFTERS
from pilothouse_tools.draft.composed import SCHEMAS

CONTENTS = {
    "commits": 12, "files": 7, "insertions": 120, "deletions": 14, "other": 1, "omitted": 0, "authors": ["evil.md"],
    "pulls": [7, 8, 9, 11], "tickets": ["ACME-12"],
    "features": [
        {"sha": "a" * 40, "summary": "search as you type", "scope": "search", "number": 7, "author": "Ada"},
        {"sha": "b1" * 20, "summary": "faster export, 3 times (run.sh, left-pad-1.1)", "scope": "", "number": 0, "author": "Ada"},
    ],
    "fixes": [{"sha": "c" * 40, "summary": "empty search, see #9999 and ACME-999", "scope": "", "number": 8, "author": "Bob"}],
    "improvements": [{"sha": "d" * 40, "summary": "answers in 20 ms", "scope": "", "number": 11, "author": "Ada"}],
    "dependencies": [{"name": "left-pad", "old": "1.0", "new": "1.1", "number": 9}],
    "breaking": [{"summary": "no more XML", "migration": "send JSON", "number": 7, "sha": "a" * 40}],
}  # fmt: skip
STORY = {
    "version": "1.4.0", "previous": "1.3.0", "why": "error rate 4.1 % after PR #231 (ACME-12)", "severity": "high",
    "timeline": ["2026-11-21T09:45:02Z deployed", "2026-11-21T09:48:00Z worse: 312 requests"],
}  # fmt: skip


def area(*entries, title="Search"):
    return {"title": title, "entries": [{"summary": summary, "reference": reference} for summary, reference in entries]}


GOOD = {
    "highlights": "Search answers while you type, and 2 features come with 1 fix.",
    "areas": [area(("Results appear while you type", "#7"), ("An empty search finds nothing", "#8")),
              area(("Exports run 3 times as fast", "b1b1b1b1b1b1"), title="Export")],
}  # fmt: skip


def notes(world, composed=None, **changes):
    arguments = {
        "version": "2.0.0", "previous": "1.3.0", "date": "2026-11-21", "contents": CONTENTS,
        "pulls": {"pulls": [{"number": 8, "author": "bob", "title": "x"}], "missing": []}, **changes,
    }  # fmt: skip
    return (
        world.toolbox().observe("notes.render", arguments | ({} if composed is None else {"composed": composed})).facts
    )


def why_refused(world, composed, **changes):
    with pytest.raises(ToolFailed) as failure:
        notes(world, composed, **changes)
    assert failure.value.reason_code == "draft-refused"
    assert failure.value.hint
    return failure.value.message


def with_words(text, place="highlights"):
    if place == "highlights":
        return {**GOOD, "highlights": text}
    if place == "title":
        return {**GOOD, "areas": [area(("Results appear", "#7"), title=text)]}
    return {**GOOD, "areas": [area((text, "#7"))]}


# --- what is shown --------------------------------------------------------------------------------------------------


def test_an_agents_words_stand_beside_what_code_lists(still):
    made = notes(still, GOOD)
    assert made["composed"] is True
    assert (
        made["text"]
        == """# Acme 2.0.0

2026-11-21 · since 1.3.0

Search answers while you type, and 2 features come with 1 fix.

## Breaking changes

- no more XML (#7)
  Migration: send JSON

## Search

- Results appear while you type (#7)
- An empty search finds nothing (#8)

## Export

- Exports run 3 times as fast (b1b1b1b1b1b1)

## Improvements

- answers in 20 ms (#11)

## Dependency updates

- left-pad 1.0 → 1.1 (#9)

## Contributors

- evil.md

12 commits, 7 files (+120 −14); 1 commit without an entry of their own.
"""
    )


def test_what_an_agent_leaves_out_stays_where_it_was(still):
    text = notes(still, {"highlights": "Maintenance.", "areas": []})["text"]
    scripted = notes(still)["text"]
    assert text.partition("## Breaking")[2] == scripted.partition("## Breaking")[2]


@pytest.mark.parametrize("place", ["fixes", "features", "improvements"])
def test_naming_a_pull_request_once_takes_but_one_of_its_changes_from_codes_lists(still, place):
    other = {"sha": "e" * 40, "summary": "SECURITY: tokens no longer leak into logs", "scope": "", "number": 7}
    contents = {**CONTENTS, place: [*CONTENTS[place], other]}
    text = notes(still, GOOD, contents=contents)["text"]
    assert "- Results appear while you type (#7)\n" in text
    assert "search as you type" not in text
    assert "- SECURITY: tokens no longer leak into logs (#7)\n" in text


@pytest.mark.parametrize("text", ["faster (eng-7)", "see Issue: 7", "pr-7"])
def test_what_a_foreign_text_spells_is_no_pull_request_and_no_key_of_a_known_tracker(still, text):
    features = [{**CONTENTS["features"][1], "summary": "export (eng-21, acme-21, gh-21, ZED-21)"}]
    contents = {**CONTENTS, "features": features, "breaking": [], "pulls": [7, 8, 9, 11]}
    said = {"highlights": text.replace("7", "21"), "areas": []}
    if "eng" in text:
        assert notes(still, said, contents=contents)["composed"] is True
    else:
        assert "21 is no pull request" in why_refused(still, said, contents=contents)
    for key in ("acme-21", "zed-21", "ZED-21", "ENG-21"):
        assert f"{key} is no ticket" in why_refused(still, {**said, "highlights": f"It has {key}"}, contents=contents)


def test_the_title_and_all_but_the_text_are_those_of_the_script(still):
    scripted, made = notes(still), notes(still, GOOD)
    assert {name for name in made if made[name] != scripted.get(name)} == {"text", "composed"}
    assert "composed" not in scripted


ACCEPTED = [
    "Search answers in 20 ms.", "This is 2.0, after 1.3.0.", "See #7 and #8.", "ACME-12 is done.", "UTF-8 and SHA-256 are read.",
    "Change `config.yml`, or run.sh.", "In commit b1b1b1b1b1b1 exports became faster.", "Größere Exporte – ganz ohne Wartezeit.",
    "検索が速くなりました。", "Поиск стал быстрее.", "Người dùng tìm kiếm nhanh hơn.", "It takes 20 µs.",
    '"Quoted" words, (brackets), a < b, and R&D.', "Managers can approve requests.", "PR #7 and pull request 8.",
    "Two lines\nare one.", "120 lines in 7 files.", "e.g. this", "v2.0.0 it is",
    "utf-8, ipv-6, http-2 and Sha-256.", "acme-12 is done.", "ACME\u201112 and GH\u20117.", "gh-7, pr-8, Pull-Request: 9 and ticket (#11).",
    "A top-3 list, in sub-20 ms.", "left-pad-1.1 is in.", "The old format is no longer compatible.", "See № 7 and # 8.",
]  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED)
@pytest.mark.parametrize("place", ["highlights", "summary"])
def test_plain_words_are_taken(still, text, place):
    assert notes(still, with_words(text, place))["composed"] is True


def test_what_code_counted_may_be_said(still):
    many = {**CONTENTS, "features": [{**CONTENTS["features"][0], "number": 7, "summary": "x"}] * 43}
    assert notes(still, {"highlights": "There are 43 features.", "areas": []}, contents=many)["composed"] is True
    assert "44" in why_refused(still, {"highlights": "There are 44 features.", "areas": []}, contents=many)


def test_foreign_marks_are_escaped_as_the_template_does(still):
    text = notes(still, with_words("Names like *this*_that_ | and ~these~ `code` [brackets] a > b"))["text"]
    assert "\nNames like \\*this\\*\\_that\\_ \\| and \\~these\\~ \\`code\\` \\[brackets\\] a &gt; b\n" in text


def test_long_words_are_not_cut(still):
    said = ("word " * 119 + "word.").strip()
    assert said in notes(still, with_words(said))["text"]
    assert ("w" * 300) in notes(still, with_words("w" * 300, "summary"))["text"]


# --- what is refused ------------------------------------------------------------------------------------------------

REFUSED = {
    "link": ["See https://x.y", "[click](x)", "see [this][1]", "![x](y)", "www.evil", "evil.com/x", "evil.com", "EVIL.COM", "evil。com", "ｅｖｉｌ．ｃｏｍ",
             "evil.zip", "README.md", "evil.md", "mailto:x", "javascript:x", "go to //evil", "ask 10.0.0.1", "localhost now", "xn--80ak6aa92e.xn--p1ai",
             "мой.рф", "a.b.c.online", "[[wiki]]", "see <https://x>"],
    "mention": ["thanks @ada", "＠ada did it", "mail ada@acme", "ada @ acme"],
    "markup": ["<b>x</b>", "<!-- x -->", "# Heading", "- item", "> quote", "1. item", "2) item", "---", "+ x", "= x", "&lt;b", "&#64;all", "a \\ b",
               "$x$", "``x``", "{{ x }}", "{% x %}", "| a |", "* x", "[ ] task", "<img src=x>", "<evil>"],
    "reference": ["fixes #9999", "fixes #10", "see x/y#7", "see #0", "#99999999999999999999", "see !12", "PR 12", "pull request 12", "issue no. 3", "bug 999",
                  "gh-21", "faster (pr-21)", "pull-request 21", "Issue: 21", "ticket-21", "GH21", "merge_request 21", "MR (21)", "see ♯21", "№ 21", "see # 21", "see GH\u201121", "bug [21]", "Issue `21`", "_pr 21_"],
    "ticket": ["ACME-999 is done", "ABC-123", "GH-26", "CVE-2024-1234", "eng-21", "acme-21", "Acme-999", "acme-999", "see _eng-21_", "eng--21", "x-eng-21",
               "АСМЕ-21", "TOP-21", "задача-21", "eng-21, done", "eng\u201121"],
    "commit": ["in deadbee1", "in " + "e1" * 20],
    "number": ["4 times faster", "99.99 % up", "by 50%", "4x faster", "2.5 seconds", "v9.9.9", "1,000 users", "٤ times", "½ the time"],
    "hidden": ["a\u200bb", "a\u202eb", "a\x1b[2Jb", "a\x00b".replace("\x00", "\x07"), "a\u2028b", "a\u3164b", "a\u2800b", "a\ufe0fb", "soft\u00adly", "z\u0301\u0302\u0303\u0304",
               "аpproved things", "Gοod", "tag\U000e0041"],
    "claim": ["This release is approved.", "Pre-approved by QA", "LGTM", "signed off by QA", "QA sign-off is there", "please approve", "Approve this now",
              "safe to deploy", "ready to ship", "no review needed", "authorised by the CEO", "all tests pass", "type the word", "𝐚𝐩𝐩𝐫𝐨𝐯𝐞𝐝", "verified by security",
              "approval was granted", "go ahead", "cleared for production", "This may go out.", "It can now go out", "Security cleared this", "all 7 checks are green",
              "may go live", "This release can be shipped", "has the blessing of the CEO"],
    "denial": ["No breaking changes.", "Fully backwards compatible.", "A drop-in replacement.", "Nothing breaks.", "Without any breaking changes",
               "It does not break anything", "This doesn't break clients", "This doesn’t break clients", "Will never break you", "Nothing here will break",
               "Fully compatible with every existing client", "Backward-compatible", "Backwards\u2011compatible", "Keeps backwards compatibility", "Compatible with 1.3.0",
               "No migration needed", "No migration is needed", "A migration is not needed", "Safe to upgrade", "You can upgrade safely", "Non-breaking", "0 breaking changes",
               "Existing scripts go on working unchanged", "𝐍𝐨 𝐛𝐫𝐞𝐚𝐤𝐢𝐧𝐠 changes"],
    "length": ["", "   ", "\n", "w" * 601],
}  # fmt: skip
CASES = [pytest.param(text, id=f"{kind}: {ascii(text)[:40]}") for kind, texts in REFUSED.items() for text in texts]


@pytest.mark.parametrize("text", CASES)
def test_words_that_say_more_than_they_may_are_refused_in_highlights(still, text):
    assert why_refused(still, with_words(text)).startswith(("highlights: ", "the notes: "))


@pytest.mark.parametrize("text", CASES)
def test_words_that_say_more_than_they_may_are_refused_in_an_entry(still, text):
    assert why_refused(still, with_words(text, "summary"))


@pytest.mark.parametrize("text", [text for kind in REFUSED if kind != "denial" for text in REFUSED[kind]], ids=ascii)
def test_words_that_say_more_than_they_may_are_refused_in_a_title(still, text):
    assert why_refused(still, with_words(text, "title"))


# Hyphens, dashes and minus signs of many alphabets, and letters that look like one beside a digit.
DASHES = (
    "-\u02d7\u058a\u05be\u1400\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u207b\u2212\u2500\u2796\u2e3a\u301c\u30a0"
    "\ufe31\ufe58\ufe63\uff0d\u30fc\uff70\u4e00\u3161\u00ad"
)


def test_no_mark_that_looks_like_a_dash_hides_a_reference(still):
    for dash in DASHES:
        assert "pull request" in why_refused(still, with_words(f"see GH{dash}21")) or dash == "\u00ad"
        assert "no ticket" in why_refused(still, with_words(f"solves eng{dash}21")) or dash == "\u00ad"


def test_the_reason_shows_nothing_hidden(still):
    assert "\x1b" not in why_refused(still, with_words("x\x1b[2J"))
    assert "\u202e" not in why_refused(still, {**GOOD, "areas": [area(("x", "\u202e#7"))]})


@pytest.mark.parametrize(
    "reference", ["#9999", "", "7", "#07", " #7", "#7 ", "a" * 13, "(#7)", "#7)\n## x", "ACME-12"], ids=ascii
)
def test_an_entry_has_a_reference_that_the_template_would_show(still, reference):
    assert "no reference of this release" in why_refused(still, {**GOOD, "areas": [area(("x", reference))]})


def test_no_reference_stands_twice(still):
    twice = {**GOOD, "areas": [area(("x", "#7")), area(("y", "#7"), title="Other")]}
    assert "#7 stands twice" in why_refused(still, twice)


@pytest.mark.parametrize(
    "title",
    ["Breaking changes", "BREAKING", "Migration", "Dependency updates", "Contributors", "Upgrading", "Changelog"],
)
def test_no_area_passes_for_what_code_lists(still, title):
    assert "code lists" in why_refused(still, {**GOOD, "areas": [area(("x", "#7"), title=title)]})


def test_no_area_stands_twice_or_is_empty(still):
    assert "twice" in why_refused(still, {**GOOD, "areas": [area(("x", "#7")), area(("y", "#8"), title="SEARCH")]})
    assert "no entry" in why_refused(still, {**GOOD, "areas": [area()]})


def test_a_release_without_breaking_changes_may_say_so(still):
    contents = {**CONTENTS, "breaking": []}
    assert notes(still, with_words("No breaking changes."), contents=contents)["composed"] is True


SHAPES = [
    {}, [], [GOOD], {"highlights": "x"}, {**GOOD, "extra": 1}, {**GOOD, "highlights": 1}, {**GOOD, "highlights": None}, {**GOOD, "areas": {}},
    {**GOOD, "areas": [None]}, {**GOOD, "areas": [{"title": "x"}]}, {**GOOD, "areas": [{"title": "x", "entries": {}}]}, {**GOOD, "areas": "x"},
    {**GOOD, "areas": [{"title": "x", "entries": [{"summary": "x", "reference": "#7", "url": "x"}]}]},
    {**GOOD, "areas": [{"title": "x", "entries": [{"summary": ["x"], "reference": "#7"}]}]},
    {**GOOD, "areas": [{"title": "x", "entries": [{"summary": "x", "reference": ["#7"]}]}]},
    {**GOOD, "areas": [area(("x", "#7"), title=f"T{chr(65 + n)}") for n in range(21)]},
    {**GOOD, "areas": [area(*[("x", "#7")] * 50)]},
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: json.dumps(shape)[:50])
def test_another_form_is_refused(still, shape):
    assert why_refused(still, shape)


def test_a_persons_notes_come_before_an_agents(small):
    file = small.clone / ".pilothouse" / "notes" / "acme-2.0.0.md"
    file.parent.mkdir(parents=True)
    file.write_text("By hand.\n")
    made = notes(small, GOOD)
    assert made["text"] == "By hand.\n"
    assert "composed" not in made


def test_a_projects_own_template_that_shows_no_composed_words_says_so(still):
    own = {**still.context().templates, "notes.md.j2": "{{ headline | markdown }}\n"}
    arguments = {"version": "2.0.0", "previous": "1.3.0", "date": "2026-11-21", "contents": CONTENTS, "composed": GOOD}
    assert "composed" not in still.toolbox(templates=own).observe("notes.render", arguments).facts


# --- the post-mortem and the issue ----------------------------------------------------------------------------------

PARTS = {
    "summary": "Search failed after the deployment.", "impact": "4.1 % of 312 requests failed.", "cause": "Pull request #231 lacks an index.",
    "detection": "The watch saw it at 09:48.", "actions": ["Add the index.", "Test with more rows."],
}  # fmt: skip
ISSUE = {"summary": "Search fails since 1.4.0.", "steps": ["Look at #231.", "Add the index."]}
SCRIPTED_POSTMORTEM = """# Post-mortem: Acme 1.4.0

Draft, written from the ledger of run r-1. People add the cause and what will change.

## Summary

error rate 4.1 % after PR #231 (ACME-12)

Severity: high.
Production went back to 1.3.0.

## Timeline (UTC)

- 2026-11-21T09:45:02Z deployed
- 2026-11-21T09:48:00Z worse: 312 requests

## Cause

_To be written by a person._

## What will change

_To be written by a person._
"""


def story(world, tool, composed=None):
    arguments = {name: value for name, value in STORY.items() if tool == "postmortem.render" or name != "timeline"}
    return world.toolbox().observe(tool, arguments | ({} if composed is None else {"composed": composed})).facts


def test_without_an_agent_the_post_mortem_and_the_issue_are_byte_for_byte_what_they_were(still):
    assert story(still, "postmortem.render") == {"text": SCRIPTED_POSTMORTEM}
    assert story(still, "issue.render") == {
        "title": "Acme 1.4.0: error rate 4.1 % after PR #231 (ACME-12)",
        "text": "Acme 1.4.0 needs a fix (severity **high**).\n\n**What happened:** error rate 4.1 % after PR #231 (ACME-12)\n\n"
        "**What runs now:** 1.3.0\n\n"
        "Run r-1, started 2026-11-21T09:00:00Z. The evidence is in its ledger: `pilothouse status r-1`.\n",
    }


def test_in_a_post_mortem_guesses_are_marked_and_the_timeline_is_codes(still):
    made = story(still, "postmortem.render", PARTS)
    assert made["composed"] is True
    text = made["text"]
    timeline = SCRIPTED_POSTMORTEM.partition("## Timeline")[2].partition("## Cause")[0]
    assert timeline in text
    assert "error rate 4.1 % after PR #231" in text
    assert "until a person has checked it" in text
    assert "## Impact (a guess)\n\n4.1 % of 312 requests failed.\n" in text
    assert (
        "## Cause (a guess)\n\nPull request #231 lacks an index.\n\n_To be confirmed or corrected by a person._\n"
        in text
    )
    assert "- Proposed: Add the index.\n- Proposed: Test with more rows.\n\n_To be decided by a person._\n" in text


def test_in_an_issue_the_title_is_the_templates(still):
    scripted, made = story(still, "issue.render"), story(still, "issue.render", ISSUE)
    assert made["title"] == scripted["title"]
    assert "(a guess, until a person has checked it):** Search fails since 1.4.0.\n" in made["text"]
    assert "- Proposed: Look at #231.\n- Proposed: Add the index.\n" in made["text"]
    assert "**What happened:** error rate 4.1 %" in made["text"]


@pytest.mark.parametrize("text", ["https://x.y", "ask @ada", "#232 did it", "ACME-13", "500 users", "approved by the CEO", "a\u202eb", "", "w" * 1201, "evil.com"],
                         ids=ascii)  # fmt: skip
@pytest.mark.parametrize("name", ["summary", "impact", "cause", "detection", "actions", "steps"])
def test_the_same_words_are_refused_in_every_part(still, name, text):
    tool, good = ("issue.render", ISSUE) if name == "steps" else ("postmortem.render", PARTS)
    with pytest.raises(ToolFailed) as failure:
        story(still, tool, {**good, name: [text] if name in {"actions", "steps"} else text})
    assert failure.value.reason_code == "draft-refused"
    assert failure.value.message.startswith(name)


@pytest.mark.parametrize("said", [{}, {**PARTS, "x": "y"}, {**PARTS, "actions": "x"}, {**PARTS, "cause": ["x"]}, {**PARTS, "actions": ["x"] * 21},
                                  {**PARTS, "actions": [1]}, [], ISSUE], ids=lambda said: json.dumps(said)[:40])  # fmt: skip
def test_another_form_of_a_post_mortem_is_refused(still, said):
    with pytest.raises(ToolFailed) as failure:
        story(still, "postmortem.render", said)
    assert failure.value.reason_code == "draft-refused"


# --- the schemas ----------------------------------------------------------------------------------------------------


def nodes(schema):
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from nodes(inner)
    if "items" in schema:
        yield from nodes(schema["items"])


@pytest.mark.parametrize("tool", sorted(SCHEMAS))
def test_a_schema_is_one_that_strict_generation_takes(tool):
    for node in nodes(SCHEMAS[tool]):
        assert set(node) <= {"type", "description", "properties", "required", "additionalProperties", "items"}
        if node["type"] == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])


@pytest.mark.parametrize("tool", sorted(SCHEMAS))
def test_every_schema_belongs_to_a_draft_tool_that_takes_it(tool):
    (spec,) = (drafter.spec for drafter in DRAFTERS if drafter.spec.name == tool)
    argument = spec.arguments["composed"]
    assert (argument.type, argument.required, argument.text_body) == ("object", False, True)


def test_what_the_schemas_ask_for_is_what_the_checks_take(still):
    assert set(SCHEMAS["notes.render"]["properties"]) == set(GOOD)
    assert set(SCHEMAS["postmortem.render"]["properties"]) == set(PARTS)
    assert set(SCHEMAS["issue.render"]["properties"]) == set(ISSUE)
    assert story(still, "postmortem.render", PARTS)["composed"]
