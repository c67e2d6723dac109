"""Exports that somebody forged with care, every digest and table made anew: each is told from a sound one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from audittown import AT, BRANCH, DAYS, Town, rehash
from pilothouse.cli.main import run
from pilothouse.errors import UsageError
from pilothouse.events import Done, Ended
from pilothouse.exported import Where, as_json, derived, releases_of, told_of
from pilothouse.exporting import export
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.ledger.prove import proved
from pilothouse.ports import Head
from pilothouse.proving import prove
from pilothouse.proving.rebuilt import listed
from pilothouse.settings import Audit
from pilothouse_tools import audited
from story import started

LEDGER, RECORDS = "ledger/acme.jsonl", "records/acme"


@pytest.fixture(scope="module")
def town(still, tmp_path_factory):
    small = type(still)(tmp_path_factory.mktemp("town"))
    yield Town(small, small.folder)
    small.served.close()


@pytest.fixture(scope="module")
def exported(town, tmp_path_factory):
    return town.export(tmp_path_factory.mktemp("export") / "2026-11").folder


@pytest.fixture
def taken(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "taken")


@pytest.fixture
def origin(town, tmp_path):
    """The remote as another one, on which a test may push."""
    town.small.git("clone", "-q", "--bare", str(town.small.origin), str(tmp_path / "origin.git"))
    return tmp_path / "origin.git"


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())


def claim(folder, **changes):
    """The manifest with other claims of the product, or of the whole where none of it has that name."""
    manifest = manifest_of(folder)
    for name, value in changes.items():
        (manifest["products"]["acme"] if name in manifest["products"].get("acme", {}) else manifest)[name] = value
    (folder / "manifest.json").write_bytes(as_json(manifest))


def without(folder, *places):
    for place in places:
        shutil.rmtree(folder / place)


def made_anew(folder, keep=lambda _: True):
    """Tables and digests to what is left, as somebody would make them who has this very program."""
    manifest = manifest_of(folder)
    days, parts = (manifest["from"], manifest["to"]), []
    for name, said in manifest["products"].items():
        top = folder / "records" / name
        files = {p.relative_to(top).as_posix(): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}
        others = [gap for gap in listed(folder) if keep(gap) and gap.kind.startswith(("commit-", "deployment"))]
        known = releases_of(files, name, lambda _: frozenset())
        parts.append(told_of(Where(name, **said), files, known, None, days, others))
    heads = {}
    for name in manifest["heads"]:
        chain = proved(name, (folder / "ledger" / f"{name}.jsonl").read_bytes(), "").found
        heads[name] = Head(chain.entries, chain.head)
    claim(folder, heads={name: {"seq": head.seq, "hash": head.hash} for name, head in heads.items()})
    for path, data in derived(parts, *days, heads).items():
        (folder / path).write_bytes(data)
    rehash(folder)


def named(folder, remote="", **more):
    return {(item.file, item.kind) for item in prove(folder, str(remote), **more).findings}


def test_the_forger_of_these_tests_makes_no_other_export_than_ours(taken, town):
    made_anew(taken)
    assert named(taken, town.small.origin) == set()


def test_an_export_of_no_product_is_none(taken, town):
    without(taken, "records")
    claim(taken, products={})
    made_anew(taken)
    assert named(taken) == {("manifest.json", "no-products")}
    assert named(taken, town.small.origin) >= {("manifest.json", "no-products"), ("manifest.json", "product-missing")}


def test_branches_that_the_manifest_denies_are_held_as_they_are_now(taken, town):
    without(taken, "records", "ledger")
    claim(taken, tip="", base_head="", heads={})
    made_anew(taken, lambda gap: gap.ref == "")
    found = named(taken, town.small.origin)
    assert {(BRANCH, "tip-missing"), ("main", "tip-missing"), (LEDGER, "chain-missing"), ("tag v1", "tag-anchor"),
            ("exceptions.json", "unlisted")} <= found  # fmt: skip
    assert (f"{RECORDS}/releases/2026/11/acme-2026-11-21-01/outcome.json", "record-missing") in found


def test_a_ledger_that_was_left_out_is_missed(taken, town):
    without(taken, "ledger")
    claim(taken, heads={})
    made_anew(taken)
    assert named(taken) == {(LEDGER, "chain-missing")}
    assert named(taken, town.small.origin) == {(LEDGER, "chain-missing"), ("tag v1", "tag-anchor")}


def test_a_ledger_without_entries_is_none_that_holds_the_records(taken):
    (taken / LEDGER).write_bytes(b"")
    made_anew(taken)
    assert {kind for _, kind in named(taken)} == {"not-in-ledger"}


def test_another_period_than_the_one_that_was_asked_for_is_named(taken, town):
    without(taken, "records")
    claim(taken, **{"from": "2025-11-01", "to": "2025-11-30"})
    made_anew(taken, lambda gap: gap.ref == "")
    proof = prove(taken, str(town.small.origin))
    assert (proof.start, proof.end) == ("2025-11-01", "2025-11-30")
    assert any("the period is what the export claims" in note for note in proof.notes)
    assert named(taken, town.small.origin, days=DAYS) == {("manifest.json", "period-differs")}
    with pytest.raises(UsageError) as refused:
        prove(taken, days=("x", "y"))
    assert refused.value.reason_code == "bad-period"


@pytest.mark.parametrize(("last", "kinds"), [(Done, {"not-written", "run-open"}), (Ended, {"run-open"})])
def test_a_ledger_that_was_cut_after_the_anchor_of_a_record_is_told_by_what_the_run_lacks(taken, town, last, kinds):
    data = (taken / LEDGER).read_bytes()
    events = proved("acme", data, "").events
    cut = max(event.seq for event in events if isinstance(event.fact, last)) - 1
    (taken / LEDGER).write_bytes(b"".join(data.splitlines(keepends=True)[:cut]))
    made_anew(taken)
    outcome = f"{RECORDS}/releases/2026/11/acme-2026-11-22-01/outcome.json"
    assert named(taken) == {(outcome, kind) for kind in kinds}
    assert ("tag v1", "tag-anchor") in named(taken, town.small.origin)
    assert ("ledger", "head-missing") in named(taken, head=town.journal.head("acme").hash)


def test_a_ledger_that_ends_before_a_record_that_lies_on_the_remote_is_named(taken, town):
    claim(taken, **{"from": "2026-12-01", "to": "2026-12-31"})  # a period to which none of the records belong
    without(taken, "records")
    (taken / LEDGER).write_bytes(b"".join((taken / LEDGER).read_bytes().splitlines(keepends=True)[:2]))
    made_anew(taken, lambda gap: gap.ref == "")
    assert (f"{BRANCH}:releases/2026/11/acme-2026-11-22-01/outcome.json", "not-in-ledger") in named(
        taken, town.small.origin
    )


def test_older_tips_in_the_manifest_hide_nothing_of_the_period(taken, town):
    small = town.small
    log = small.git("log", "--format=%H", BRANCH, cwd=small.origin).split()
    claim(taken, tip=log[2], base_head=small.git("rev-parse", f"{town.pushed}^", cwd=small.origin))
    without(taken, f"{RECORDS}/releases/2026/11/acme-2026-11-22-01")
    made_anew(taken, lambda gap: gap.ref not in {town.pushed, town.second})
    found = named(taken, small.origin)
    assert (f"{RECORDS}/releases/2026/11/acme-2026-11-22-01/outcome.json", "record-missing") in found
    assert ("exceptions.json", "unlisted") in found


def test_what_the_remote_gained_after_the_period_spoils_no_older_export(taken, town, origin, tmp_path):
    work = tmp_path / "work"
    town.small.git("clone", "-q", str(origin), str(work))
    env = town.small.git_env
    town.small.git_env = {**env, "GIT_COMMITTER_DATE": "2026-12-05T10:00:00Z"}
    try:
        town.small.git("commit", "-q", "--allow-empty", "-m", "next", cwd=work)
        town.small.git("tag", "-a", "v2", "-m", f"two\n\nPilothouse-Ledger: 999 {'e' * 64}", cwd=work)
        town.small.git("push", "-q", "origin", "main", "v2", cwd=work)
    finally:
        town.small.git_env = env
    proof = prove(taken, str(origin))
    assert proof.findings == []
    assert any("tag v2 is newer than the export" in note for note in proof.notes)


@pytest.mark.parametrize(("field", "value"), [("branch", "other"), ("base", "other"), ("public_key", "")])
def test_what_the_manifest_says_of_a_product_is_held_against_the_remotes_configuration(taken, town, field, value):
    claim(taken, **{field: value})
    made_anew(taken)
    assert named(taken, town.small.origin) == {("manifest.json", "manifest-differs")}


def test_a_product_that_the_remote_audits_cannot_be_left_out_under_another_name(taken, town):
    manifest = manifest_of(taken)
    manifest["products"] = {"shop": manifest["products"]["acme"]}
    (taken / "manifest.json").write_bytes(as_json(manifest))
    without(taken, "records")
    made_anew(taken, lambda _: False)
    assert named(taken, town.small.origin) >= {
        ("manifest.json", "product-missing"), ("manifest.json", "manifest-differs"), ("ledger/shop.jsonl", "chain-missing"),
    }  # fmt: skip


def test_a_remote_that_does_not_say_what_belongs_to_it_proves_nothing(taken, town, origin, tmp_path):
    town.small.git("clone", "-q", str(origin), str(tmp_path / "work"))
    for content in (None, "version: 1\nproducts: 3\n"):
        file = tmp_path / "work" / "pilothouse.yml"
        file.write_text(content) if content else file.unlink()
        town.small.git("add", "-A", cwd=tmp_path / "work")
        town.small.git("commit", "-qm", "x", cwd=tmp_path / "work")
        town.small.git("push", "-q", cwd=tmp_path / "work")
        assert ("main:pilothouse.yml", "config-missing") in named(taken, origin)


@pytest.mark.parametrize("path", ["report.md", "releases.csv", "releases.json", "VERIFY.md"])
def test_a_table_that_says_something_else_is_named(taken, path):
    file = taken / path
    file.write_bytes(file.read_bytes().replace(b"done", b"open").replace(b"sha256sum", b"true"))
    rehash(taken)
    assert named(taken) == {(path, "not-derived")}
    file.unlink()
    rehash(taken)
    assert named(taken) == {(path, "file-missing")}


def test_a_file_that_no_export_has_is_named_although_the_manifest_lists_it(taken):
    folder = f"{RECORDS}/releases/2026/11/acme-2026-11-21-01"
    for path in ("summary.md", "records/shop/x.json", f"{folder}/outcome.txt", f"{folder}/outcome.dsse.md"):
        (taken / path).parent.mkdir(exist_ok=True)
        (taken / path).write_text("all is well\n")
    rehash(taken)
    assert named(taken) == {
        ("summary.md", "file-added"), ("records/shop/x.json", "file-added"),
        (f"{folder}/outcome.txt", "record-malformed"), (f"{folder}/outcome.dsse.md", "record-malformed"),
    }  # fmt: skip


def test_each_exception_that_follows_from_records_and_line_is_demanded_word_by_word(town, taken):
    rows = json.loads((taken / "exceptions.json").read_bytes())
    spoilt = [{**row, "what": "nothing"} if row["ref"] == town.pushed else row for row in rows]
    (taken / "exceptions.json").write_bytes(as_json(spoilt))
    rehash(taken)
    kinds = [item.kind for item in prove(taken, str(town.small.origin)).findings]
    assert kinds == ["unlisted", "invented"]
    more = [*rows, {"product": "acme", "kind": "intent-without-outcome", "ref": "acme-2026-11-21-01", "what": "x"}]
    (taken / "exceptions.json").write_bytes(as_json(more))
    rehash(taken)
    assert named(taken) == {("exceptions.json", "invented")}
    (taken / "exceptions.json").write_bytes(as_json(rows)[:-1])
    rehash(taken)
    assert named(taken) == {("exceptions.json", "not-derived")}


def test_an_intent_whose_outcome_is_on_the_remote_cannot_be_passed_off_as_one_without(taken, town):
    folder = taken / RECORDS / "releases/2026/11/acme-2026-11-22-01"
    for file in folder.glob("outcome.*"):
        file.unlink()
    made_anew(taken)
    found = named(taken, town.small.origin)
    assert {("exceptions.json", "invented"), ("releases.csv", "not-derived")} <= found
    assert ("acme-2026-11-22-01", "record-missing") in found


def test_a_product_that_never_shipped_exports_a_chain_without_entries(still, tmp_path):
    folder = export([unshipped(still)], MemoryJournal(), *DAYS, tmp_path / "out").folder
    assert (folder / LEDGER).read_bytes() == b""
    assert named(folder) == set()


def test_the_chain_of_all_products_cannot_be_left_out_where_a_run_names_its_head(still, tmp_path):
    journal = MemoryJournal()
    journal.append("acme", "r-2026-11-21-01", [started(global_head="ab" * 32)], AT.format(21))
    folder = export([unshipped(still)], journal, *DAYS, tmp_path / "out").folder
    assert named(folder) == {("ledger/_global.jsonl", "chain-missing")}


def unshipped(small):
    return small.context(replace(small.product, forge=None, audit=Audit()))


# --- dates ----------------------------------------------------------------------------------------------------------


def test_a_commit_that_is_dated_back_stays_in_the_period_in_which_it_came(town, origin, tmp_path):
    small, work = town.small, tmp_path / "work"
    small.git("clone", "-q", str(origin), str(work))
    env = small.git_env
    small.git_env = {**env, "GIT_COMMITTER_DATE": "2019-01-01T10:00:00Z"}
    try:
        small.git("commit", "-q", "--allow-empty", "-m", "long ago", cwd=work)
        small.git("push", "-q", cwd=work)
    finally:
        small.git_env = env
    back = small.git("rev-parse", "HEAD", cwd=work)
    read = lambda *given, **_: small.git(*given, cwd=work).encode()  # noqa: E731
    assert back in {row["sha"] for row in audited.of_period(audited.line_of(read, back), *DAYS)}
    # An export whose manifest names the tip from before it is no complete one, either.
    folder = town.export(tmp_path / "out").folder
    proof = prove(folder, str(origin))
    assert [(item.file, item.kind) for item in proof.findings] == [("exceptions.json", "unlisted")]
    assert back in proof.findings[0].what


def test_a_commit_that_is_dated_ahead_takes_along_none_that_follow_it():
    rows = [{"sha": sha, "at": f"{day}T10:00:00Z"} for sha, day in
            (("a", "2026-10-01"), ("b", "2099-01-01"), ("c", "2026-11-05"), ("d", "2026-12-05"))]  # fmt: skip
    assert [row["sha"] for row in audited.of_period(rows, *DAYS)] == ["c"]


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_takes_a_head_and_a_period_and_says_which_period_it_found(exported, town, capsys):
    verify = ["audit", "verify", "--export", str(exported)]
    asked = ["--from", DAYS[0], "--to", DAYS[1]]
    assert run([*verify, *asked, "--head", town.journal.head("acme").hash, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["from"], said["to"], said["findings"]) == (*DAYS, [])
    assert run([*verify, "--from", "2026-01-01", "--to", "2026-12-31", "--head", "ab" * 32]) == 50
    shown = capsys.readouterr().out
    assert "2026-11-01 to 2026-11-30" in shown
    assert "period-differs" in shown and "head-missing" in shown


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--export", "x", "--from", "2026-01-01"], "go together"),
        (["--export", "x", "--product", "acme"], "of this project's ledger"),
        (["--to", "2026-01-01"], "go with --export"),
    ],
)
def test_the_command_refuses_half_a_period_and_options_of_the_other_proof(more, says, capsys):
    assert run(["audit", "verify", *more]) == 2
    assert says in capsys.readouterr().err
