"""The auditor's export: complete against the base branch, and proven elsewhere; each tampering is named."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from audittown import BRANCH, DAYS, Town, rehash
from pilothouse.covering import Release, gaps
from pilothouse.errors import UsageError
from pilothouse.exported import neutral
from pilothouse.exporting import export
from pilothouse.proving import prove


@pytest.fixture(scope="module")
def town(still, tmp_path_factory):
    small = type(still)(tmp_path_factory.mktemp("town"))
    yield Town(small, small.folder)
    small.served.close()


@pytest.fixture(scope="module")
def exported(town, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "2026-11"
    return town.export(folder)


@pytest.fixture
def taken(exported, tmp_path):
    """A copy of the export that a test may spoil."""
    return shutil.copytree(exported.folder, tmp_path / "taken")


def found(folder, *more):
    return {(item.file, item.kind) for item in prove(folder, *more).findings}


def kinds(folder, *more):
    return {item.kind for item in prove(folder, *more).findings}


def test_every_commit_of_the_line_has_one_record_or_is_listed(town, exported):
    told = {(gap.kind, gap.ref) for gap in exported.exceptions}
    assert ("commit-without-record", town.pushed) in told
    assert ("commit-without-record", town.small.released) in told  # before the first release
    assert ("commit-without-record", town.second) not in told
    assert "deployments-unknown" in {kind for kind, _ in told}  # nobody could ask: said, not left out
    assert exported.releases == 2
    assert json.loads((exported.folder / "exceptions.json").read_bytes()) == [g.as_json() for g in exported.exceptions]


def test_a_spreadsheet_takes_no_cell_for_a_formula(exported):
    text = (exported.folder / "releases.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["release"] for row in rows] == ["acme-2026-11-21-01", "acme-2026-11-22-01"]
    assert rows[0]["started_by"] == "'=cmd()"
    assert [neutral(cell) for cell in ("@x", " -1", "plain", ["+a", "b"], -1)] == [
        "'@x",
        "' -1",
        "plain",
        "'+a; b",
        "-1",
    ]


def test_an_export_verifies_on_another_machine_from_its_files_and_the_remote_alone(town, exported):
    noted = town.journal.head("acme").hash
    proof = prove(exported.folder, str(town.small.origin), town.public, days=DAYS, head=noted)
    assert proof.findings == []
    assert (proof.records, proof.signed, proof.tags) == (4, 4, 1)
    assert [note for note in proof.notes if "the forge was not asked" not in note] == []
    alone = prove(exported.folder)
    assert alone.ok
    for what in ("no remote was named", "the period is what the export claims", "the key in the export", "a commit"):
        assert any(what in note for note in alone.notes), what


def test_the_instructions_work_with_python_git_and_coreutils_alone(town, exported, tmp_path):
    import re

    text = (exported.folder / "VERIFY.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    place = exported.folder / "records" / "acme"

    def shell(command, cwd):
        done = subprocess.run(["bash", "-c", command], cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    clone = str(town.small.clone)
    manifest = json.loads((exported.folder / "manifest.json").read_bytes())["products"]["acme"]
    sums, chains, remote, signatures = blocks[1], blocks[2], blocks[4], blocks[5].split("head -c")[0]
    assert shell(sums, exported.folder) == ""
    assert "sound: ledger/acme.jsonl" in shell(chains, exported.folder)
    said = remote.replace("CLONE", clone).replace("TIP", manifest["tip"]).replace("BRANCH", BRANCH)
    said = said.replace("records/<product>", str(place))
    assert shell(said, tmp_path) == "the branch has only grown\n"
    first, *_ = (block for block in blocks if "awk" in block)
    line = first.partition("git -C CLONE rev-list")[0].replace("CLONE", clone).replace("origin/BASE", "origin/main")
    listed = shell(line.replace("FROM", DAYS[0]).replace("TO~", f"{DAYS[1]}~"), tmp_path)
    assert [row.split()[1] for row in listed.splitlines()][-2:] == [town.pushed, town.second]
    assert len(listed.splitlines()) == 4
    assert shell(line.replace("FROM", "2026-12-01").replace("TO~", "2026-12-31~"), tmp_path) == ""
    record = "releases/2026/11/acme-2026-11-21-01/outcome"
    shell(signatures.replace("records/<product>/releases/2026/11/<release>/outcome", f"{place}/{record}"), tmp_path)
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    key = load_ssh_public_key(town.public.encode())
    key.verify((tmp_path / "signed.sig").read_bytes(), (tmp_path / "signed").read_bytes())  # as openssl would


RECORD = "records/acme/releases/2026/11/acme-2026-11-21-01/outcome"


@pytest.mark.parametrize("careful", [False, True])
def test_an_edited_record_is_named(taken, town, careful):
    file = taken / f"{RECORD}.json"
    file.write_bytes(file.read_bytes().replace(b'"done"', b'"open"', 1))
    if careful:
        rehash(taken)
    named = found(taken, str(town.small.origin), town.public)
    assert ((f"{RECORD}.json", "file-changed") in named) != careful
    assert {(f"{RECORD}.json", "not-in-ledger"), (f"{RECORD}.json", "remote-differs"),
            (f"{RECORD}.dsse.json", "bad-signature"), (f"{RECORD}.md", "markdown-differs")} <= named  # fmt: skip


def test_a_record_that_was_left_out_is_named(taken, town):
    for form in ("json", "md", "dsse.json"):
        (taken / f"{RECORD}.{form}").unlink()
    rehash(taken)
    assert ("acme-2026-11-21-01", "record-missing") in found(taken)
    assert (f"{RECORD}.json", "record-missing") in found(taken, str(town.small.origin))


def test_a_signature_of_another_key_is_named(taken, town, tmp_path):
    from pilothouse_tools import envelope

    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "k")], check=True)
    key = envelope.Key(tmp_path / "k", b"", town.context().child_environ())
    (taken / f"{RECORD}.dsse.json").write_bytes(envelope.sign((taken / f"{RECORD}.json").read_bytes(), key))
    rehash(taken)
    assert found(taken, "", town.public) == {(f"{RECORD}.dsse.json", "bad-signature")}
    (taken / f"{RECORD}.dsse.json").unlink()
    rehash(taken)
    assert found(taken, "", town.public) == {(f"{RECORD}.dsse.json", "unsigned")}


def test_a_record_in_another_folder_is_named(taken):
    folder = (taken / RECORD).parent
    folder.rename(folder.parent / "acme-2026-11-23-01")
    rehash(taken)
    assert "record-misplaced" in kinds(taken)


def test_a_tampered_chain_is_named_with_the_entry(taken):
    file = taken / "ledger" / "acme.jsonl"
    whole = file.read_bytes()
    lines = whole.split(b"\n")[:-1]
    edited = [line.replace(b"=cmd()", b"ceo   ") for line in lines]
    for spoilt, kind in ((edited, "chain:edited"), (lines[:-1], "chain:head-missing"), (lines[1:], "chain:dropped")):
        file.write_bytes(b"".join(line + b"\n" for line in spoilt))
        assert ("ledger/acme.jsonl", kind) in found(taken)
    file.write_bytes(whole)
    assert kinds(taken) == set()


def test_files_that_were_added_or_taken_away_are_named(taken):
    (taken / "more.txt").write_text("x")
    (taken / "report.md").unlink()
    assert found(taken) == {("more.txt", "file-added"), ("report.md", "file-missing")}


def test_a_gap_that_was_taken_out_of_the_list_is_named(taken, town):
    file = taken / "exceptions.json"
    kept = [row for row in json.loads(file.read_bytes()) if row["ref"] != town.pushed]
    file.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    rehash(taken)
    assert found(taken) == {("report.md", "not-derived")}  # nobody else knows of the commit without a remote
    assert found(taken, str(town.small.origin)) == {("exceptions.json", "unlisted")}


def test_a_branch_on_which_a_record_was_changed_or_that_was_written_anew_is_named(taken, town, tmp_path):
    origin = tmp_path / "origin.git"
    town.small.git("clone", "-q", "--bare", str(town.small.origin), str(origin))
    work = tmp_path / "work"
    town.small.git("clone", "-q", "-b", BRANCH, str(origin), str(work))
    file = work / f"{RECORD.removeprefix('records/acme/')}.md"
    before = file.read_bytes()
    for content in (b"another\n", before):  # changed, and changed back
        file.write_bytes(content)
        town.small.git("commit", "-qam", "x", cwd=work)
    town.small.git("push", "-q", cwd=work)
    named = found(taken, str(origin), town.public)
    assert named == {(f"{BRANCH}:{RECORD.removeprefix('records/acme/')}.md", "branch-rewritten")}
    town.small.git("reset", "-q", "--hard", "HEAD~3", cwd=work)
    town.small.git("push", "-qf", cwd=work)
    assert {(BRANCH, "branch-rewritten")} < found(taken, str(origin), town.public)


def test_a_tag_that_names_another_head_is_named(taken, town, tmp_path):
    origin = tmp_path / "origin.git"
    town.small.git("clone", "-q", "--bare", str(town.small.origin), str(origin))
    town.small.git("tag", "-a", "v2", "-m", f"two\n\nPilothouse-Ledger: 3 {'e' * 64}", town.second, cwd=origin)
    assert found(taken, str(origin), town.public) == {("tag v2", "tag-anchor")}


def test_the_forges_deployments_are_held_against_the_records(town, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    rows = [{"id": 7, "sha": "f" * 40, "created_at": "2026-11-22T10:00:00Z", "environment": "production"},
            {"id": 8, "sha": "f" * 40, "created_at": "2026-12-22T10:00:00Z", "environment": "production"}]  # fmt: skip
    head = "HTTP/2.0 200 OK\\r\\nContent-Type: application/json\\r\\n\\r\\n"
    (folder / "gh").write_text(f"#!/bin/sh\nprintf '{head}'\ncat <<'X'\n{json.dumps(rows)}\nX\n")
    (folder / "gh").chmod(0o755)
    environ = {**town.small.environ, "PATH": f"{folder}:{town.small.environ['PATH']}", "GH_TOKEN": "t"}
    made = town.export(
        tmp_path / "out", town.context(replace(town.product, forge=town.small.product.forge), environ=environ)
    )
    assert [(g.kind, g.ref) for g in made.exceptions if "deployment" in g.kind] == [("deployment-without-record", "7")]


def test_each_kind_of_gap_is_told():
    def release(name, commits=(), *, half="", deployed="", sha=""):
        deployment = {"id": deployed, "sha": sha} if deployed or sha else None
        record = {"outcome": {"deployment": deployment}, "artefacts": []}
        parts = {"intent": (record, None), "outcome": (None, record)}.get(half, (record, record))
        return Release(name, *parts, frozenset(commits))

    line = [{"sha": sha, "at": "t", "author": "a", "subject": "s"} for sha in ("a", "b", "c")]
    made = (("1", "a"), ("2", "b"), ("3", "x"), ("4", "d"))
    deployments = [{"id": i, "sha": sha, "at": "t", "environment": "production"} for i, sha in made]
    known = [
        release("one", "a", deployed="1", sha="a"), release("two", "ab", sha="b"), release("three", sha="b"),
        release("four", half="intent"), release("five", half="outcome", deployed="9"), release("six", sha="d"),
    ]  # fmt: skip
    assert {(gap.kind, gap.ref) for gap in gaps("acme", line, known, deployments)} == {
        ("commit-in-several-records", "a"), ("commit-without-record", "c"), ("intent-without-outcome", "four"),
        ("outcome-without-intent", "five"), ("deployment-in-several-records", "2"), ("deployment-without-record", "3"),
        ("record-without-deployment", "five"),
    }  # fmt: skip


def test_an_export_takes_two_days_in_order_and_an_empty_folder(town, tmp_path):
    (tmp_path / "x").write_text("1")
    for folder, days, code in (
        (tmp_path, ("2026-11-01", "2026-11-30"), "export-folder-not-empty"),
        (tmp_path / "new", ("2026-11-30", "2026-11-01"), "bad-period"),
        (tmp_path / "new", ("yesterday", "2026-11-01"), "bad-period"),
    ):
        with pytest.raises(UsageError) as refused:
            export([town.context()], town.journal, *days, folder)
        assert refused.value.reason_code == code
    with pytest.raises(UsageError) as refused:
        prove(tmp_path)
    assert refused.value.reason_code == "no-export"
