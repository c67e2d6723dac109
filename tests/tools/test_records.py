"""Release records: what they are called, how they are written and signed, and that nothing is ever written over."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from pilothouse.errors import ToolFailed
from pilothouse.model import Presence
from pilothouse.settings import Audit
from pilothouse_tools import envelope
from pilothouse_tools.act import record as written
from pilothouse_tools.door import Arguments
from pilothouse_tools.observe import record as composed
from pilothouse_tools.records import folder_of, release_id
from pilothouse_tools.recordshape import as_bytes, checked, parsed, schema
from pilothouse_tools.recordtext import as_markdown
from pilothouse_tools.shelf import Shelf

BRANCH = "compliance-archives"
FOLDER = "releases/2026/11/acme-2026-11-21-01"
SHA = "a" * 40


def known(run: str = "r-2026-11-21-01", **changes: object) -> dict[str, object]:
    """What the engine knows of a run, as record.compose receives it."""
    record: dict[str, object] = {
        "run": run, "product": "acme", "title": "Acme", "tool_version": "0.1.0",
        "workflow": {"name": "promote-audited", "title": "Promote", "digest": "b" * 64},
        "composed_at": "2026-11-21T09:05:00.000000+00:00",
        "started": {"by": "ada", "name": "Ada", "email": "ada@acme.test", "channel": "cli", "at": "2026-11-21T09:00:00Z"},
        "from": {"ref": "main", "sha": SHA, "version": "1.3.0"}, "to": {"ref": "staging", "sha": "c" * 40, "version": ""},
        "version": "",
        "counts": {"commits": 1, "pulls": 1, "tickets": 0, "files": 1, "insertions": 2, "deletions": 1},
        "pulls": [{
            "number": 12, "title": "Filters | <b>@ada</b>\n# x", "url": "https://forge.test/12", "author": "ada",
            "merged_at": "2026-11-20T09:00:00Z", "merged_by": "bo", "how": "squash", "head_sha": SHA, "merge_commit": SHA,
            "reviewers": ["bo"], "reviewed_sha": SHA, "reviewed": True, "tickets": [], "archive": "", "archive_sha": "",
        }],
        "tickets": [], "unlinked": [], "areas": [], "checks": [], "evidence": [], "gates": [], "verdicts": [],
        "artefacts": [], "migrations": [], "backups": [], "approvals": [], "plan": None, "acts": [], "own_commits": [],
        "outcome": {"state": "done", "severity": "", "reason_code": "", "reason": "", "deployment": None, "release_url": ""},
        "exceptions": [], "ledger": {"chain": "acme", "seq": 7, "head": "d" * 64},
    }  # fmt: skip
    return {**record, **changes}


@pytest.fixture
def audited(small):
    def context(audit: Audit | None = None, **changes: object):
        return small.context(replace(small.product, audit=audit or Audit()), **changes)

    return context


def look(context, kind: str = "intent", **changes: object):
    return composed.TOOLS[0].look(context, Arguments({"kind": kind, "record": known(**changes)})).facts


def write(context, facts, kind: str = "intent"):
    tool, arguments = written.TOOLS[0], Arguments({"record": facts["record"], "kind": kind})
    before = tool.probe(context, arguments, "k-1")
    if before.presence is Presence.ABSENT:
        tool.apply(context, arguments, None)
    return before, tool.probe(context, arguments, "k-1")


def test_a_release_is_called_after_its_product_and_run_and_lies_by_year_and_month():
    assert release_id("acme", "r-2026-11-21-01") == "acme-2026-11-21-01"
    assert release_id("acme", "r-2026-11-21-01-acme") == "acme-2026-11-21-01"
    assert folder_of("acme-2026-11-21-01") == FOLDER
    for product, run in (("acme", "r-2026-11-21-01-other"), ("acme", "r-1"), ("acme", "r-2026-13-21-01")):
        with pytest.raises(ToolFailed):
            release_id(product, run)
    with pytest.raises(ToolFailed):
        folder_of("../acme-2026-11-21-01")


def test_intent_and_outcome_are_written_read_back_and_the_clone_stays_as_it_is(small, audited):
    context = audited()
    before = small.untouched()
    absent, there = write(context, look(context))
    assert (absent.presence, there.presence) == (Presence.ABSENT, Presence.APPLIED)
    first = small.head(BRANCH)
    assert there.facts["commit"] == first and there.facts["path"] == FOLDER
    assert there.facts["url"] == f"https://github.com/harbour/acme/tree/{first}/{FOLDER}"
    write(context, look(context, "outcome"), "outcome")
    files = small.git("ls-tree", "-r", "--name-only", BRANCH, cwd=small.origin).split()
    assert files == [f"{FOLDER}/{kind}.{form}" for kind in ("intent", "outcome") for form in ("json", "md")]
    assert small.git("rev-parse", f"{BRANCH}^", cwd=small.origin) == first  # an orphan branch, grown by one commit
    assert "outcome" in small.git("show", f"{BRANCH}:{FOLDER}/outcome.json", cwd=small.origin)
    assert small.untouched() == before


def test_a_record_that_is_there_is_found_and_one_with_other_words_is_a_conflict(small, audited):
    context = audited()
    write(context, look(context))
    head = small.head(BRANCH)
    again, _ = write(audited(scratch="elsewhere"), look(context))
    assert again.presence is Presence.APPLIED
    other = look(context, title="Another")
    before, _ = write(context, other)
    assert before.presence is Presence.CONFLICT
    with pytest.raises(ToolFailed) as refused:
        written.TOOLS[0].apply(context, Arguments({"record": other["record"], "kind": "intent"}), None)
    assert refused.value.reason_code == "record-conflict"
    assert small.head(BRANCH) == head


@pytest.mark.parametrize("filters", [False, True])
def test_somebody_elses_commit_that_came_first_is_built_upon(small, audited, filters):
    if filters:  # the remote then leaves out all folders but those that are asked for
        small.git("config", "uploadpack.allowFilter", "true", cwd=small.origin)
    one, other = Shelf.of(audited()), Shelf.of(audited(scratch="elsewhere"))
    one.add(BRANCH, FOLDER, {"intent.json": b"{}\n"}, "one")
    tips = iter([one.tip(BRANCH)])
    theirs = other.add(BRANCH, "archives", {"pr-1.md": b"# 1\n"}, "theirs")
    plain = one.tip
    one.tip = lambda branch: next(tips, None) or plain(branch)  # looks before they push, commits after
    made = one.add(BRANCH, FOLDER, {"outcome.json": b"{}\n"}, "late")
    assert small.git("rev-parse", f"{made}^", cwd=small.origin) == theirs
    names = small.git("ls-tree", "-r", "--name-only", BRANCH, cwd=small.origin).split()
    assert names == ["archives/pr-1.md", f"{FOLDER}/intent.json", f"{FOLDER}/outcome.json"]
    fresh = Shelf.of(audited(scratch="third"))
    fresh.add(BRANCH, f"{FOLDER[:-2]}02", {"intent.json": b"{}\n"}, "fresh")
    small.git("fsck", "--full", "--strict", cwd=small.origin)


def test_a_file_in_the_way_of_the_folder_is_named(small, audited):
    shelf = Shelf.of(audited())
    shelf.add(BRANCH, "other", {"a": b"1"}, "x")
    small.git("fetch", "-q", "origin", BRANCH)
    small.git("checkout", "-q", "-b", "theirs", "FETCH_HEAD")
    small.commit("a file", {"releases": "no folder"})
    small.push("theirs", BRANCH)
    with pytest.raises(ToolFailed) as refused:
        shelf.add(BRANCH, FOLDER, {"intent.json": b"{}"}, "x")
    assert refused.value.reason_code == "record-path-taken"


def test_the_schema_takes_a_record_and_refuses_what_is_no_field_of_it(audited):
    record = look(audited())["record"]
    validator = Draft202012Validator(schema())
    Draft202012Validator.check_schema(schema())
    validator.validate(record)
    assert parsed(as_bytes(record)) == record
    for broken in ({**record, "extra": 1}, {**record, "release": 3}, {k: v for k, v in record.items() if k != "plan"}):
        assert not validator.is_valid(broken)
        with pytest.raises(ToolFailed):
            checked(broken)
    for wrong in ({"release": "acme-2026-11-21-02"}, {"product": "other"}, {"kind": "outcome"}):
        with pytest.raises(ToolFailed) as refused:
            checked({**record, **wrong})
        assert refused.value.reason_code in {"record-malformed", "bad-argument"}


def test_the_published_schema_is_the_one_of_the_shapes():
    from pathlib import Path

    import pilothouse

    file = Path(pilothouse.__file__).parent / "schemas" / "record.schema.json"
    assert json.loads(file.read_text(encoding="utf-8")) == schema()


def test_the_markdown_escapes_foreign_text_and_counts_what_it_leaves_out(audited):
    record = look(audited())["record"]
    shown = as_markdown(record)
    assert r"Filters \| &lt;b&gt;@<!-- -->ada&lt;/b&gt; # x" in shown and "<b>" not in shown
    pull = record["pulls"][0]
    many = as_markdown({**record, "pulls": [{**pull, "number": n} for n in range(1000)]})
    assert "Pull requests (1000)" in many and "800 more are in the JSON file." in many
    assert many.count("\n| #") == 200


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """An ed25519 PEM key, an SSH key, and their public halves as SSH writes them."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    folder = tmp_path_factory.mktemp("keys")
    private = Ed25519PrivateKey.generate()
    (folder / "pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "ssh")], check=True)
    return {"pem": (folder / "pem", public), "ssh": (folder / "ssh", (folder / "ssh.pub").read_text().strip())}


@pytest.mark.parametrize("form", ["pem", "ssh"])
def test_a_signed_record_verifies_with_the_public_key_and_with_no_other(small, audited, keys, form):
    file, public = keys[form]
    environ = {**small.environ, "RECORD_KEY": str(file)}
    context = audited(Audit(signing_key="RECORD_KEY", public_key=public), environ=environ)
    facts = look(context)
    write(context, facts)
    data = small.git("show", f"{BRANCH}:{FOLDER}/intent.dsse.json", cwd=small.origin).encode()
    held = context.child_environ()
    assert envelope.verified(data, public, held) == as_bytes(facts["record"])
    other = keys["ssh" if form == "pem" else "pem"][1]
    assert envelope.verified(data, other, held) is None
    claimed = json.loads(data)
    claimed["signatures"][0]["keyid"] = envelope.fingerprint(other)  # it says it is the other key's
    assert envelope.verified(json.dumps(claimed).encode(), other, held) is None
    changed = json.loads(data)
    changed["payload"] = changed["payload"].replace("e", "f", 1)
    assert envelope.verified(json.dumps(changed).encode(), public, held) is None
    wrong = audited(Audit(signing_key="RECORD_KEY", public_key=other), environ=environ)
    with pytest.raises(ToolFailed) as refused:
        write(wrong, look(wrong, run="r-2026-11-21-02"))
    assert refused.value.reason_code == "signing-key-mismatch"


def test_other_tools_verify_our_envelopes(tmp_path, keys, audited):
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    payload = as_bytes(look(audited())["record"])
    environ = audited().child_environ()
    file, public = keys["pem"]
    signed = envelope.sign(payload, envelope.Key(file, file.read_bytes(), environ))
    read = json.loads(signed)
    keyid = read["signatures"][0]["keyid"]
    key = SSlibKey.from_crypto(load_ssh_public_key(public.encode()), keyid=keyid)
    theirs = Envelope.from_dict(read)
    assert set(theirs.verify([key], 1)) == {keyid} and theirs.payload == payload

    file, public = keys["ssh"]
    read = json.loads(envelope.sign(payload, envelope.Key(file, b"", environ)))
    import base64

    (tmp_path / "allowed").write_text(f'records namespaces="pilothouse-record" {public}\n')
    (tmp_path / "sig").write_bytes(base64.b64decode(read["signatures"][0]["sig"]))
    argv = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "records", "-n", "pilothouse-record", "-s", "sig"]
    assert subprocess.run(argv, cwd=tmp_path, input=envelope.pae(payload), capture_output=True).returncode == 0


@pytest.mark.parametrize("place", [None, "relative", "/does/not/exist", "public"])
def test_a_configured_key_that_cannot_be_read_refuses_before_anything(small, audited, keys, place):
    value = str(keys["ssh"][0]) + ".pub" if place == "public" else place
    environ = {**small.environ, **({"RECORD_KEY": value} if value else {})}
    context = audited(Audit(signing_key="RECORD_KEY"), environ=environ)
    with pytest.raises(ToolFailed) as refused:
        look(context)
    assert refused.value.reason_code == "signing-key-missing"
    assert small.head(BRANCH) == ""


def test_a_folder_that_the_remote_left_out_is_fetched_when_it_is_looked_for(small, audited):
    small.git("config", "uploadpack.allowFilter", "true", cwd=small.origin)
    write(audited(), look(audited()))
    fresh = Shelf.of(audited(scratch="elsewhere"))
    tip = fresh.tip(BRANCH)
    assert fresh.run("cat-file", "-e", f"{tip}:releases/2026").code != 0  # nothing but the top came along
    assert sorted(fresh.folder_at(tip, FOLDER)) == ["intent.json", "intent.md"]
    assert fresh.folder_at(tip, "releases/2026/12/acme-2026-12-01-01") == {}
