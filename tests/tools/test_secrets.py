"""A range that brings a secret into the repository is found out: where and by which rule, never what (AUT-4)."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import textwrap

import pytest

from pilothouse.composition import allowed_secrets
from pilothouse.errors import ToolFailed
from pilothouse.settings import Readiness
from pilothouse_tools import gitleaks, leaks
from pilothouse_tools.observe.secrets import scanners

# Put together here, so that nobody's scanner takes this file for a leak.
AWS = "AKIA" + "IZ5KQRVN7WPLM2TX"
KEY = "\n".join(
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        *textwrap.wrap(base64.b64encode(bytes(range(250))).decode(), 64),
        "-----END",
        "",
    ]
)
LEAKED = {
    "aws-access-key": AWS,
    "github-token": "gh" + "p_" + "a1B2" * 9,
    "gitlab-token": "glp" + "at-" + "x9Y8z7W6v5U4t3S2r1Q0",
    "slack-token": "xox" + "b-" + "1234567890-abcdefghij",
    "slack-webhook": "https://hooks.slack" + ".com/services/T00000000/B00000000/" + "Xy" * 12,
    "stripe-key": "sk_" + "live_" + "4eC39HqLyjWDarjtT1zd",
    "google-api-key": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "npm-token": "npm_" + "aB3" * 12,
    "pypi-token": "pypi-" + "AgEIcHlwaS5vcmc" + "CJ" * 30,
    "anthropic-key": "sk-" + "ant-api03-" + "aB3_" * 8,
    "vault-token": "hvs." + "CAESI" * 6,
    "private-key": KEY,
}


def look(small, older, newer, **changes):
    product = dataclasses.replace(small.product, **changes)
    box = small.toolbox(
        product, scratch=f"s-{newer[:8]}", allowed_secrets=lambda base: allowed_secrets(base, product.name)
    )
    return box.observe("git.secrets", {"from": older, "to": newer})


def configuration(*allowed):
    """A pilothouse.yml of the product with an allow list."""
    return (
        "version: 1\nproducts:\n  acme:\n"
        f"    readiness: {{allowed_secrets: [{', '.join(allowed)}]}}\n"
        "    environments:\n      production:\n        url: https://acme.test\n"
        "        deploy: {model: push, branch: deploy/production}\n"
        "        health: {path: /health, version: /version}\n"
    )


@pytest.mark.parametrize("rule", LEAKED)
def test_a_token_of_a_known_shape_is_named_by_file_line_and_rule_and_never_shown(small, rule):
    sha = small.commit("feat: settings", {"conf/app.env": f"# settings\n\nSECRET={LEAKED[rule]}\n"})
    seen = look(small, small.released, sha)
    (found,) = seen.facts["findings"]
    assert (found["file"], found["line"], found["rule"], found["commit"]) == ("conf/app.env", 3, rule, sha)
    assert LEAKED[rule] not in json.dumps([seen.facts, seen.summary])
    assert LEAKED[rule][6:20] not in json.dumps([seen.facts, seen.summary])


def test_an_ordinary_range_holds_none(small):
    sha = small.commit(
        "docs: how to set AKIA… and ghp_… tokens",
        {
            "README.md": "Set `GH_TOKEN=ghp_…`; AWS's own example is AKIAIOSFODNN7EXAMPLE.\n"
            "A key begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.\n"
            "sk-learn, npm_config_registry, xoxo, task-antelope, SG.1\n",
            "package-lock.json": json.dumps({"integrity": "sha512-" + base64.b64encode(bytes(range(64))).decode()}),
        },
    )
    assert look(small, small.released, sha).facts["findings"] == []


def test_one_that_was_taken_out_again_is_in_the_history_all_the_same(small):
    leaked = small.commit("feat: oops", {"a.txt": f"{AWS}\n"})
    sha = small.commit("fix: take it out", {"a.txt": "nothing\n"})
    (found,) = look(small, small.released, sha).facts["findings"]
    assert (found["commit"], found["file"]) == (leaked, "a.txt")


def test_what_the_released_version_holds_already_is_not_this_releases(small):
    old = small.commit("feat: old leak", {"a.txt": f"{AWS}\n"})
    sha = small.commit("feat: a line above", {"a.txt": f"new\n{AWS}\n"})
    assert look(small, old, sha).facts["findings"] == []
    again = small.commit("feat: one more", {"a.txt": f"new\n{AWS}\n{LEAKED['npm-token']}\n"})
    assert [(row["rule"], row["line"]) for row in look(small, old, again).facts["findings"]] == [("npm-token", 3)]


def test_attributes_encodings_links_and_names_hide_nothing(small):
    (small.clone / "wide.txt").write_bytes(f"key {AWS}\n".encode("utf-16"))
    (small.clone / "blob.bin").write_bytes(b"\0\xff\0" + AWS.encode() + b"\0")
    os.symlink(AWS, small.clone / "link")
    hostile = "a\nb -> c\t\x1b[31m\u202e.txt"
    sha = small.commit("feat: hidden", {
        ".gitattributes": "* -diff binary export-ignore\n*.env diff=evil\n", "x.env": AWS, hostile: AWS,
        "--upload-pack=x": AWS,
    })  # fmt: skip
    files = {row["file"] for row in look(small, small.released, sha).facts["findings"]}
    told = "a<U+000A>b -> c<U+0009><U+001B>[31m<U+202E>.txt"
    assert files == {"wide.txt", "blob.bin", "link", "x.env", "--upload-pack=x", told}


def test_commit_messages_and_what_only_a_merge_brings_are_looked_at(small):
    small.git("checkout", "-q", "-b", "side")
    small.commit("feat: side", {"side.txt": "1\n"})
    small.git("checkout", "-q", "main")
    small.commit("feat: main", {"main.txt": "1\n"})
    small.git("merge", "-q", "--no-commit", "--no-ff", "side")
    (small.clone / "evil.txt").write_text(f"{AWS}\n")
    (small.clone / "side.txt").write_text(f"1\n{LEAKED['npm-token']}\n")
    sha = small.commit(f"Merge side\n\nwith {LEAKED['github-token']}")
    rows = look(small, small.released, sha).facts["findings"]
    assert {(row["file"], row["line"], row["rule"]) for row in rows} == {
        ("evil.txt", 1, "aws-access-key"), ("side.txt", 2, "npm-token"), (leaks.MESSAGE, 3, "github-token"),
    }  # fmt: skip


def test_a_value_that_the_conductor_holds_is_found_in_any_shape(small):
    held = "pl4in-deploy-passphrase"
    small.environ = {**small.environ, "DEPLOY_TOKEN": held}
    environments = {"staging": small.environment("staging", credentials=("DEPLOY_TOKEN",))}
    sha = small.commit("feat: oops", {"a.yml": f"x: 1\nauth: {base64.b64encode(held.encode()).decode()}\n"})
    seen = look(small, small.released, sha, environments=environments)
    (found,) = seen.facts["findings"]
    assert (found["file"], found["line"], found["rule"]) == ("a.yml", 2, "held-value")
    assert held not in json.dumps(seen.facts)


def test_only_the_base_branch_can_allow_a_finding_and_only_that_very_one(small):
    sha = small.commit("feat: a fixture", {"fixture.txt": f"{AWS}\n"})
    small.push("main")
    (found,) = look(small, small.released, sha).facts["findings"]
    # Not the configuration with which the conductor was started, and not the working tree.
    (small.clone / "pilothouse.yml").write_text(configuration(found["fingerprint"]))
    readiness = Readiness(allowed_secrets=(found["fingerprint"],))
    assert look(small, small.released, sha, readiness=readiness).facts["count"] == 1
    allowing = small.commit("chore: it is a fixture", {"pilothouse.yml": configuration(found["fingerprint"])})
    assert look(small, small.released, sha, readiness=readiness).facts["count"] == 1  # not pushed yet
    small.push("main")
    seen = look(small, small.released, allowing).facts
    assert (seen["count"], seen["allowed"]) == (0, [found["fingerprint"]])
    again = small.commit("feat: another place", {"other.txt": f"{AWS}\n"})
    assert [row["file"] for row in look(small, small.released, again).facts["findings"]] == ["other.txt"]
    small.commit("chore: broken", {"pilothouse.yml": "version: [\n"})
    small.push("main")
    assert look(small, small.released, again).facts["count"] == 2


def test_what_is_too_large_is_named(small, monkeypatch):
    monkeypatch.setattr(leaks, "_LARGEST", 1000)
    sha = small.commit("feat: large", {"large.bin": "x" * 2000, "small.txt": AWS})
    seen = look(small, small.released, sha).facts
    assert seen["skipped"] == ["large.bin"]
    assert [row["file"] for row in seen["findings"]] == ["small.txt"]


def test_many_blobs_are_read_in_batches(small, monkeypatch):
    monkeypatch.setattr(leaks, "_BATCH", 500)
    sha = small.commit("feat: many", {f"f{number}.txt": f"{'x' * 200}\n{number}\n{AWS}\n" for number in range(20)})
    rows = look(small, small.released, sha).facts["findings"]
    assert sorted((row["file"], row["line"]) for row in rows) == sorted((f"f{number}.txt", 3) for number in range(20))


# --- gitleaks, told by a program of that name: what it is called with, and what becomes of its report -----------------

PROGRAM = """#!/usr/bin/env python3
import json, os, pathlib, subprocess, sys
here = pathlib.Path({here!r})
if sys.argv[1:] == ["version"]:
    print((here / "version").read_text()); sys.exit()
(here / "called").write_text(json.dumps([sys.argv, dict(os.environ), os.getcwd()]))
options = dict(word[2:].split("=", 1) for word in sys.argv[2:-1] if "=" in word)
log = subprocess.run(["git", "-C", sys.argv[-1], "log", "-p", "-U0", *options["log-opts"].split(" ")], capture_output=True, text=True)
(here / "log").write_text(log.stdout + log.stderr)
{rest}
"""


@pytest.fixture
def packaged(small, monkeypatch):
    folder = small.folder / "programs"
    folder.mkdir()

    def make(rest):
        (folder / "version").write_text("8.24.3")
        program = folder / "gitleaks"
        program.write_text(PROGRAM.format(here=str(folder), rest=rest))
        program.chmod(0o755)
        small.environ = {
            **small.environ,
            "PATH": f"{folder}:{small.environ['PATH']}",
            "DEPLOY_TOKEN": "not-for-gitleaks",
        }
        return folder

    return make


ROW = {
    "RuleID": "generic-api-key", "File": "a.txt", "StartLine": 7, "Commit": "c" * 40, "Secret": "hunter2hunter2",
    "Match": "key=hunter2hunter2", "Author": "x", "Fingerprint": "x",
}  # fmt: skip


def report(row):
    return f"json.dump([{row!r}], open(options['report-path'], 'w'))"


def test_gitleaks_looks_through_the_range_in_the_scratch_repository_and_its_report_is_told_without_the_secret(
    small, packaged
):
    folder = packaged(report(ROW))
    sha = small.commit(
        "feat: x", {"a.txt": f"{AWS}\n", ".gitattributes": "* -diff\n", ".gitleaks.toml": "[allowlist]\n"}
    )
    seen = look(small, small.released, sha)
    assert [row["rule"] for row in seen.facts["findings"]] == ["aws-access-key", "generic-api-key"]
    assert seen.facts["scanners"] == ["built-in", "gitleaks 8.24.3"]
    assert "hunter2" not in json.dumps([seen.facts, seen.summary])
    argv, environ, where = json.loads((folder / "called").read_text())
    assert argv[-1].endswith("repository.git")
    assert f"{small.released}..{sha}" in " ".join(argv)
    assert "--redact=100" in argv
    assert "--ignore-gitleaks-allow" in argv
    assert "DEPLOY_TOKEN" not in environ
    assert not where.startswith(str(small.clone))
    assert AWS in (folder / "log").read_text()  # as text, whatever the attributes say


@pytest.mark.parametrize(
    "rest",
    [
        "sys.exit(2)",
        "",
        "open(options['report-path'], 'w').write('{')",
        "json.dump({}, open(options['report-path'], 'w'))",
    ],
)
def test_a_gitleaks_that_fails_or_reports_nothing_readable_lets_nothing_pass(small, packaged, rest):
    packaged(rest)
    sha = small.commit("feat: x", {"a.txt": "1\n"})
    with pytest.raises(ToolFailed) as failed:
        look(small, small.released, sha)
    assert failed.value.reason_code == "secrets-unscanned"


@pytest.mark.parametrize(
    ("version", "taken"), [("8.18.4", False), ("v7.6.1", False), ("8.19.0", True), ("built", True)]
)
def test_one_that_does_not_know_the_command_is_as_good_as_none(small, packaged, version, taken):
    (packaged("sys.exit(1)") / "version").write_text(version)
    assert len(scanners(small.context())) == 1 + taken


def test_without_gitleaks_the_built_in_scanner_is_there(small):
    small.environ = {**small.environ, "PATH": "/usr/bin:/bin"}
    if gitleaks.installed(small.environ):
        pytest.skip("gitleaks is installed here")
    assert [scanner.name for scanner in scanners(small.context())] == ["built-in"]


def test_a_version_tag_on_the_leak_itself_hides_it_not_from_what_production_runs(small):
    leaky = small.commit("feat: oops", {"a.env": f"X={AWS}\n"})
    newer = small.commit("feat: more", {"b.txt": "fine\n"})
    box = small.toolbox(scratch="s-live")
    seen = box.observe("git.secrets", {"from": leaky, "to": newer})
    assert seen.facts["count"] == 0
    seen = box.observe("git.secrets", {"from": leaky, "to": newer, "live": small.released})
    assert [row["file"] for row in seen.facts["findings"]] == ["a.env"]
    # What production runs is no commit of this repository: then the tag is all that there is.
    assert box.observe("git.secrets", {"from": leaky, "to": newer, "live": "f" * 40}).facts["count"] == 0
