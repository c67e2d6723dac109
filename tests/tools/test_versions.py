"""Which version comes next, and what is written where."""

from __future__ import annotations

import json
import tomllib

import pytest

from pilothouse.errors import ToolFailed
from pilothouse.settings import VersionFile
from pilothouse_tools import changelog, versionfiles, versions

NOTHING = {"commits": 3, "features": 0, "fixes": 0, "improvements": 0, "dependencies": 0, "breaking": 0}


@pytest.mark.parametrize(
    ("current", "requested", "counts", "parts", "version"),
    [
        ("1.3.0", "", {"features": 2, "fixes": 3}, [], "1.4.0"),
        ("1.3.0", "", {"fixes": 1}, [], "1.3.1"),
        ("1.3.0", "", {"improvements": 1}, [], "1.3.1"),
        ("1.3.0", "", {"dependencies": 1}, [], "1.3.1"),
        ("1.3.0", "", {"breaking": 1}, [], "2.0.0"),
        ("0.3.0", "", {"breaking": 1}, [], "0.4.0"),
        ("0.3.1", "", {"features": 1}, [], "0.4.0"),
        ("0.3.1", "", {"fixes": 1}, [], "0.3.2"),
        ("1.3.0", "", {"fixes": 1}, ["Added"], "1.4.0"),
        ("1.3.0", "", {"fixes": 1}, ["Removed"], "2.0.0"),
        ("0.3.0", "", {"fixes": 1}, ["Breaking"], "0.4.0"),
        ("1.3.0", "", {}, ["Fixed"], "1.3.1"),
        ("1.3.0", "major", {"features": 1}, [], "2.0.0"),
        ("1.3.0", "2.0.0", {"fixes": 1}, [], "2.0.0"),
        ("1.3.0", "1.5.0", {"features": 1}, [], "1.5.0"),
        ("1.3.0", "patch", {}, [], "1.3.1"),
        ("1.4.0-rc.1", "", {"features": 1}, [], "1.4.0"),
    ],
)
def test_the_next_version_follows_from_the_changes(current, requested, counts, parts, version):
    decided = versions.decide(current, requested, {**NOTHING, **counts}, parts)
    assert decided.version == version
    assert decided.why


@pytest.mark.parametrize(
    ("requested", "counts", "code"),
    [
        ("patch", {"features": 1}, "version-contradicts-changes"),
        ("1.3.1", {"features": 1}, "version-contradicts-changes"),
        ("minor", {"breaking": 1}, "version-contradicts-changes"),
        ("1.3.0", {"fixes": 1}, "version-contradicts-changes"),
        ("1.2.9", {"fixes": 1}, "version-contradicts-changes"),
        ("1.4.2", {"fixes": 1}, "version-contradicts-changes"),
        ("2.1.0", {"fixes": 1}, "version-contradicts-changes"),
        ("1.4.0-rc.1", {"fixes": 1}, "not-supported"),
        ("latest", {"fixes": 1}, "bad-argument"),
        ("", {}, "nothing-to-release"),
        ("patch", {"commits": 0}, "nothing-to-release"),
    ],
)
def test_a_version_that_contradicts_the_changes_is_refused_with_the_reason(requested, counts, code):
    with pytest.raises(ToolFailed) as refused:
        versions.decide("1.3.0", requested, {**NOTHING, **counts}, [])
    assert refused.value.reason_code == code
    assert code == "bad-argument" or refused.value.hint or code == "not-supported"


# -- version files

PACKAGE = '{\n    "name": "version",\n    "scripts": {"version": "9.9.9"},\n    "version"  :  "1.3.0",\n    "a": ["version", "1.3.0"]\n}'
LOCK = """{
  "name": "acme",
  "version": "1.3.0",
  "lockfileVersion": 3,
  "packages": {
    "": {
      "name": "acme",
      "version": "1.3.0"
    },
    "node_modules/left-pad": {
      "version": "1.3.0"
    }
  }
}
"""
PYPROJECT = """# [project]
[tool.other]
version = "9.9.9"

[project]   # here
name = "acme"
version = '1.3.0'   # keep me
description = "version = '1.3.0'"
[project.urls]
version = "http://x"
"""


def test_package_json_changes_in_the_versions_own_characters_only():
    new = versionfiles.bump(VersionFile("package.json"), PACKAGE.encode(), "1.4.0").decode()
    assert new == PACKAGE.replace('"version"  :  "1.3.0"', '"version"  :  "1.4.0"')


def test_the_lock_file_changes_for_the_package_itself_only():
    new = json.loads(versionfiles.bump(VersionFile("package-lock.json"), LOCK.encode(), "1.4.0"))
    assert new["version"] == new["packages"][""]["version"] == "1.4.0"
    assert new["packages"]["node_modules/left-pad"]["version"] == "1.3.0"
    assert versionfiles.companion("web/package.json") == "web/package-lock.json"


def test_pyproject_keeps_quotes_comments_and_every_other_version():
    new = versionfiles.bump(VersionFile("pyproject.toml"), PYPROJECT.encode(), "1.4.0").decode()
    assert new == PYPROJECT.replace("version = '1.3.0'   # keep me", "version = '1.4.0'   # keep me")
    assert tomllib.loads(new)["project"]["version"] == "1.4.0"


def test_poetrys_table_is_known():
    new = versionfiles.bump(VersionFile("pyproject.toml"), b'[tool.poetry]\nversion = "1.3.0"\n', "1.4.0")
    assert new == b'[tool.poetry]\nversion = "1.4.0"\n'


def test_a_pattern_replaces_its_one_group():
    new = versionfiles.bump(VersionFile("v.py", '^VERSION = "(.*)"$'), b'# VERSION = "0"\nVERSION = "1.3.0"\n', "1.4.0")
    assert new == b'# VERSION = "0"\nVERSION = "1.4.0"\n'


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (VersionFile("package.json"), b"{}"),
        (VersionFile("package.json"), b"{"),
        (VersionFile("package.json"), b'{"version": 1}'),
        (VersionFile("package.json"), b'{"version": "1.0.0", "version": "1.0.0"}'),
        (VersionFile("pyproject.toml"), b'[project]\ndynamic = ["version"]\n'),
        (VersionFile("pyproject.toml"), b'[project]\nversion = """1.0.0"""\n'),
        (VersionFile("pyproject.toml"), b'project.version = "1.0.0"\n'),
        (VersionFile("pyproject.toml"), b"["),
        (VersionFile("v.py", "(a)"), b"aa"),
        (VersionFile("v.py", "a"), b"a"),
        (VersionFile("v.py", "(a)|(b)"), b"b"),
        (VersionFile("v.py", "("), b"a"),
        (VersionFile("v.py"), b"1.0.0"),
        (VersionFile("v.py", "(a)"), b"\xff"),
    ],
)
def test_a_version_that_is_not_there_exactly_once_is_refused_with_the_file(file, content):
    with pytest.raises(ToolFailed, match=file.path) as refused:
        versionfiles.bump(file, content, "1.4.0")
    assert refused.value.reason_code == "version-file"
    assert refused.value.hint


# -- changelog

UNRELEASED = """# Changelog

## [Unreleased]

### Added

- Filters (#3)
  over two lines

### Changed

### Fixed
* One
"""
LINKS = "\n[unreleased]: https://forge.test/a/b/compare/v1.3.0...HEAD\n[1.3.0]: https://forge.test/a/b/releases/tag/v1.3.0\n"
OLD = "\n## [1.3.0] - 2026-10-01\n\n- Old\n"


def test_unreleased_entries_are_read_by_part():
    assert changelog.unreleased(UNRELEASED) == {"Added": ["Filters (#3) over two lines"], "Fixed": ["One"]}
    assert changelog.unreleased("# Changelog\n\n## [Unreleased]\n") == {}
    assert changelog.unreleased("# Changelog\n") is None
    assert changelog.unreleased("```\n## [Unreleased]\n- no\n```\n") is None


def test_finalising_dates_the_section_keeps_the_rest_and_moves_the_links():
    new = changelog.finalise(UNRELEASED + OLD + LINKS, "1.4.0", "1.3.0", "2026-11-21", "v")
    assert new == (
        "# Changelog\n\n## [Unreleased]\n\n## [1.4.0] - 2026-11-21\n\n### Added\n\n- Filters (#3)\n  over two lines\n\n"
        "### Fixed\n* One\n" + OLD + "\n[unreleased]: https://forge.test/a/b/compare/v1.4.0...HEAD\n"
        "[1.4.0]: https://forge.test/a/b/compare/v1.3.0...v1.4.0\n[1.3.0]: https://forge.test/a/b/releases/tag/v1.3.0\n"
    )
    assert changelog.unreleased(new) == {}
    assert changelog.section(new, "1.4.0") == "### Added\n\n- Filters (#3)\n  over two lines\n\n### Fixed\n* One"
    assert changelog.section(new, "1.3.0") == "- Old"


def test_a_changelog_without_links_or_older_versions_is_finalised_too():
    assert (
        changelog.finalise("## Unreleased\n- a\n", "1.0.0", "0.9.0", "2026-11-21", "v")
        == "## Unreleased\n\n## 1.0.0 - 2026-11-21\n- a\n"
    )


def test_line_endings_stay():
    new = changelog.finalise((UNRELEASED + OLD).replace("\n", "\r\n"), "1.4.0", "1.3.0", "2026-11-21", "v")
    assert new.count("\n") == new.count("\r\n")


@pytest.mark.parametrize(("text", "code"), [("# Changelog\n", "changelog-unreleased-missing"),
                                            (UNRELEASED + "\n## [1.4.0] - 2026-01-01\n- x\n", "changelog-has-version")])  # fmt: skip
def test_a_changelog_that_cannot_be_finalised_says_why(text, code):
    with pytest.raises(ToolFailed) as refused:
        changelog.finalise(text, "1.4.0", "1.3.0", "2026-11-21", "v")
    assert refused.value.reason_code == code
