"""The door: whatever does not fit its grammar is refused by name before anything is read or run (I1, I6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.canonical import digest
from pilothouse.errors import ToolFailed
from pilothouse.model import ARGUMENT_TYPES, EffectClass, Kind, Permit, Reach
from pilothouse_tools import grammar

SHA = "a" * 40
GOOD = {"branch": "release/acme/v1.4.0", "base": SHA, "version": "1.4.0", "changelog": "x", "date": "2026-11-21"}
OPTION_LIKE = ["-", "--upload-pack=touch /tmp/x", "-x", "--output=x", "--exec=sh"]
BAD_REFS = [*OPTION_LIKE, "", "HEAD", "a b", "a..b", "a@{1}", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "/a", "a/", "a//b", ".a",
            "a/.b", "a.lock", "a/b.lock", "a.", "refs/heads/x", "a\nb", "a\0b", "ä", SHA, "x" * 300, "a/-b"]  # fmt: skip
BAD_SHAS = [*OPTION_LIKE, "", "HEAD", "a" * 39, "a" * 41, "A" * 40, "g" * 40, f"{SHA}^{{tree}}", f"{SHA}\n"]
BAD_VERSIONS = [*OPTION_LIKE, "1.4", "v1.4.0", "01.4.0", "1.4.0 ", "1.4.0\n", "1.4.0-", "1" * 80]


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("branch", v) for v in BAD_REFS), *(("base", v) for v in BAD_SHAS), *(("version", v) for v in BAD_VERSIONS),
     ("changelog", "a\0b"), ("changelog", "\ud800"), ("date", 20261121), ("base", None), ("branch", ["main"])],
)  # fmt: skip
def test_an_argument_that_does_not_fit_is_refused_before_any_io(still, tmp_path, name, value):
    arguments = {**GOOD, name: value}
    with pytest.raises(ToolFailed) as refused:
        # There is no clone at this place: any I/O would fail otherwise.
        still.toolbox(project=tmp_path / "nowhere").probe("git.release_branch", arguments, "k-1")
    assert refused.value.reason_code == "bad-argument"


@pytest.mark.parametrize("arguments", [{**GOOD, "force": True}, {k: v for k, v in GOOD.items() if k != "base"}])
def test_an_unknown_or_missing_argument_is_refused(still, arguments):
    with pytest.raises(ToolFailed) as refused:
        still.toolbox().probe("git.release_branch", arguments, "k-1")
    assert refused.value.reason_code == "bad-argument"


@pytest.mark.parametrize("key", ["", "-x", "a b", "a/b", "k" * 101, "a\n"])
def test_a_key_that_could_be_an_option_or_a_path_is_refused(still, key):
    with pytest.raises(ToolFailed) as refused:
        still.toolbox().probe("git.release_branch", GOOD, key)
    assert refused.value.reason_code == "bad-argument"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("health.check", {"environment": "nowhere", "version": "1.4.0"}),
        ("tests.run", {"suite": "--config=x", "sha": SHA}),
        ("forge.issues", {"labels": ["a,b"]}),
        ("forge.issues", {"labels": "critical"}),
        ("forge.pulls", {"numbers": [1, -2]}),
        ("forge.pulls", {"numbers": [True]}),
        ("version.decide", {"sha": SHA, "current": "1.3.0", "contents": {"share": 0.5}}),
        ("version.decide", {"sha": SHA, "current": "1.3.0", "contents": []}),
    ],
)
def test_observe_tools_have_the_same_door(still, tool, arguments):
    with pytest.raises(ToolFailed) as refused:
        still.toolbox().observe(tool, arguments)
    assert refused.value.reason_code == "bad-argument"


@pytest.mark.parametrize(
    ("method", "name"), [("observe", "git.tag"), ("observe", "git.nothing"), ("probe", "git.contents")]
)
def test_a_tool_that_is_not_of_this_kind_does_not_exist(still, method, name):
    box = still.toolbox()
    with pytest.raises(ToolFailed) as refused:
        box.observe(name, {}) if method == "observe" else box.probe(name, {}, "k-1")
    assert refused.value.reason_code == "unknown-tool"


def test_a_permit_for_other_arguments_or_another_tool_opens_nothing(small, allow):
    box, arguments = small.toolbox(), {**GOOD, "base": small.released}
    other = allow("git.release_branch", {**arguments, "version": "9.9.9"})
    for permit in (other, Permit("r-1", "s", "git.tag", digest(arguments), "p", None, "main", "k-1")):
        with pytest.raises(ToolFailed) as refused:
            box.apply("git.release_branch", arguments, permit)
        assert refused.value.reason_code == "permit-mismatch"
    assert small.head("release/acme/v1.4.0") == ""


def test_every_tool_declares_types_that_exist(still):
    for name, spec in still.toolbox().specs().items():
        assert spec.name == name
        assert spec.about
        assert {argument.type for argument in spec.arguments.values()} <= set(ARGUMENT_TYPES)
        assert set(spec.results.values()) <= set(ARGUMENT_TYPES)
        assert (spec.effect is not None) == (spec.kind is Kind.ACT)
        assert spec.reach is not None or "environment" in spec.arguments


def test_what_cannot_be_taken_back_says_so(still):
    specs = still.toolbox().specs()
    final = {name for name, spec in specs.items() if not spec.undoable}
    assert final == {
        "git.merge", "git.tag", "git.promote", "forge.release", "backup.restore", "record.write", "tickets.comment"
    }  # fmt: skip
    assert specs["git.tag"].reach is Reach.PRODUCTION
    assert specs["deploy.apply"].effect is EffectClass.KEYED


@given(st.text(max_size=60))
def test_no_text_that_passes_as_a_ref_can_be_an_option_or_an_expression(text):
    if grammar.is_ref(text):
        assert not text.startswith("-")
        assert not set(text) & set(" ~^:?*[\\\n\0@{")
        assert ".." not in text


@given(st.text(alphabet="a./\\.gitGIT~1 -\0", max_size=30))
def test_no_text_that_passes_as_a_path_leaves_the_repository(text):
    if grammar.is_path(text):
        parts = text.split("/")
        assert ".." not in parts
        assert "" not in parts
        assert not any(part.lower().rstrip(". ") == ".git" for part in parts)
