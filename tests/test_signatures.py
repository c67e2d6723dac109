"""SSH signatures over approvals: only the named key, over exactly these bytes, for this purpose (APR-4, I14)."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

import pytest

from pilothouse import signatures
from pilothouse.errors import RequestRefused, UsageError
from pilothouse.guard.clearance import NAMESPACE, statement

SAID = statement("r-2026-11-21-01", "go", "d" * 64)


def key(folder, name, kind="ed25519"):
    file = folder / name
    bits = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-C", name, "-f", str(file)], check=True)
    return file, file.with_suffix(".pub").read_text().strip()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_signature_verifies_with_the_key_that_made_it(tmp_path, kind):
    private, public = key(tmp_path, "ann", kind)
    made = signatures.sign(SAID, private)
    assert signatures.verified(SAID, made, "ann@acme.test", public)


def test_no_other_bytes_key_purpose_or_text_verifies(tmp_path):
    private, public = key(tmp_path, "ann")
    other_private, other = key(tmp_path, "bob")
    made = signatures.sign(SAID, private)
    for said in (
        statement("r-2026-11-21-02", "go", "d" * 64),
        statement("r-2026-11-21-01", "stop", "d" * 64),
        statement("r-2026-11-21-01", "go", "e" * 64),
        SAID + b" ",
        b"",
    ):
        assert not signatures.verified(said, made, "ann", public)
    assert not signatures.verified(SAID, made, "ann", other)
    assert not signatures.verified(SAID, made, "ann", "")
    assert not signatures.verified(SAID, signatures.sign(SAID, other_private), "ann", public)
    message = tmp_path / "elsewhere"
    message.write_bytes(SAID)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(private), "-n", "git", str(message)], check=True)
    assert not signatures.verified(SAID, (tmp_path / "elsewhere.sig").read_text(), "ann", public)
    for text in ("", "yes", made[:-60], made.replace("A", "B"), made + made, "x" * 30_000):
        assert not signatures.verified(SAID, text, "ann", public)


def test_a_signature_that_was_made_by_hand_counts(tmp_path):
    private, public = key(tmp_path, "ann")
    message = tmp_path / "approval"
    message.write_bytes(SAID)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(private), "-n", NAMESPACE, str(message)], check=True)
    assert signatures.verified(SAID, signatures.read(tmp_path / "approval.sig"), "ann", public)


def test_what_is_no_key_and_no_signature_is_refused(tmp_path):
    with pytest.raises(UsageError):
        signatures.sign(SAID, tmp_path / "nothing")
    (tmp_path / "no-key").write_text("hello")
    with pytest.raises(RequestRefused):
        signatures.sign(SAID, tmp_path / "no-key")
    for content in (b"", b"hello", b"\xff\xfe"):
        (tmp_path / "sig").write_bytes(content)
        with pytest.raises(UsageError):
            signatures.read(tmp_path / "sig")
    with pytest.raises(UsageError):
        signatures.read(tmp_path / "missing")


ARMOURED = "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----"


@pytest.mark.parametrize("entry", ["", ".", "./bin/..", "bin/.."])
def test_a_program_of_the_working_directory_neither_verifies_nor_signs(tmp_path, monkeypatch, entry):
    private, public = key(tmp_path, "ann")
    made = signatures.sign(SAID, private)
    (tmp_path / "bin").mkdir()
    own = tmp_path / "ssh-keygen"
    own.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 0\n")
    own.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{entry}:{os.environ['PATH']}")
    assert not signatures.verified(SAID, ARMOURED.format("forged"), "ann", public)
    assert signatures.verified(SAID, made, "ann", public)
    assert signatures.verified(SAID, signatures.sign(SAID, private), "ann", public)
    assert not (tmp_path / "seen").exists()
    monkeypatch.setenv("PATH", entry)
    with pytest.raises(UsageError, match="not installed"):
        signatures.verified(SAID, made, "ann", public)


def stand_in(folder, monkeypatch, script):
    """A person's own ssh-keygen, in a folder of their PATH."""
    folder.mkdir()
    (folder / "ssh-keygen").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:.:{os.environ['PATH']}")


def test_ssh_keygen_sees_no_secret_and_verifying_it_not_even_the_agent(tmp_path, monkeypatch):
    private, public = key(tmp_path, "ann")
    stand_in(tmp_path / "bin", monkeypatch, f"env >> {tmp_path}/seen; exit 1")
    kept = {"HOME": "/home/ann", "LANG": "C.UTF-8", "TERM": "xterm"}
    of_keys = {"SSH_AUTH_SOCK": "/run/agent", "SSH_ASKPASS": "/usr/bin/askpass", "DISPLAY": ":0"}
    for name, value in {**kept, **of_keys, "ACME_TOKEN": "tok-1", "GITHUB_TOKEN": "tok-2", "LD_PRELOAD": ""}.items():
        monkeypatch.setenv(name, value)
    seen = []
    for call in (
        lambda: signatures.verified(SAID, ARMOURED.format("x"), "ann", public),
        lambda: signatures.sign(SAID, private),
    ):
        with suppress(RequestRefused):
            call()
        rows = dict(row.split("=", 1) for row in (tmp_path / "seen").read_text().splitlines())
        assert all(folder.startswith("/") for folder in rows["PATH"].split(":"))
        seen.append(
            {name: value for name, value in rows.items() if name not in {"PATH", "PWD", "OLDPWD", "SHLVL", "_"}}
        )
        (tmp_path / "seen").unlink()
    assert seen == [kept, {**kept, **of_keys}]


def test_a_key_that_never_answers_is_a_refusal_and_the_person_is_given_minutes(tmp_path, monkeypatch):
    private, public = key(tmp_path, "ann")
    stand_in(tmp_path / "bin", monkeypatch, "exec sleep 60")
    assert signatures._PATIENCE >= 300
    monkeypatch.setattr(signatures, "_PATIENCE", 0.3)
    monkeypatch.setattr(signatures, "_TIMEOUT", 0.3)
    with pytest.raises(RequestRefused, match="no answer") as refused:
        signatures.sign(SAID, private)
    assert refused.value.reason_code == "signing-failed"
    assert not signatures.verified(SAID, ARMOURED.format("x"), "ann", public)


@pytest.mark.parametrize("text", ["\u00e9", "\udcff", "\x00", "\u2028"])
def test_odd_letters_verify_nothing_and_break_nothing(tmp_path, text):
    private, public = key(tmp_path, "ann")
    made = signatures.sign(SAID, private)
    assert not signatures.verified(SAID, ARMOURED.format(text), "ann", public)
    assert not signatures.verified(SAID, made, "ann", f"ssh-ed25519 {text}")
    assert not signatures.verified(SAID, made, f"ann{text}", public)
