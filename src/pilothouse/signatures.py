"""SSH signatures over approvals: made by the approver's own ssh-keygen, verified by ours, offline and years later.

OpenSSH's own format and tool (``ssh-keygen -Y``): nothing of cryptography is ours, and an auditor needs no Pilothouse.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from pilothouse.errors import RequestRefused, ToolFailed, UsageError
from pilothouse.guard.clearance import NAMESPACE
from pilothouse_tools.child import resolve

_PATIENCE = 600.0  # seconds to sign: a person types a passphrase, or looks for the token that wants a touch
_TIMEOUT = 60.0  # seconds to verify, which asks nobody
_KEPT = ("HOME", "LANG", "TERM")
_OF_KEYS = ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY")  # how a person's own key is reached; who verifies needs none
_LIMIT = 20_000  # bytes of an armoured signature


def sign(statement: bytes, key: Path) -> str:
    """A person's signature, with a key of theirs (a private key, or a public one whose private half an agent holds).

    Raises:
        UsageError: there is no such key, or no ssh-keygen.
        RequestRefused: ``signing-failed``.
    """
    if not key.is_file():
        raise UsageError(
            "no-such-key", f"there is no key {key}", "name a private key, or a public one that ssh-agent holds"
        )
    with tempfile.TemporaryDirectory(prefix="pilothouse-sign-") as folder:
        message = Path(folder, "approval")
        message.write_bytes(statement)
        program, environment = _keygen(*_OF_KEYS)
        argv = [program, "-Y", "sign", "-f", str(key.resolve()), "-n", NAMESPACE, str(message)]
        # Not through the guarded runner: ssh-keygen asks for a passphrase on the terminal, whose group it must be in.
        try:
            done = subprocess.run(
                argv, check=False, capture_output=True, timeout=_PATIENCE, cwd=folder, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise _not_signed(f"no answer within {_PATIENCE:.0f} seconds") from error
        signature = Path(folder, "approval.sig")
        if done.returncode or not signature.is_file():
            raise _not_signed(done.stderr.decode("utf-8", "replace").strip()[-300:])
        return signature.read_text(encoding="ascii")


def verified(statement: bytes, signature: str, approver: str, key: str) -> bool:
    """Whether a signature is this key's, over exactly these bytes, made for this purpose (the namespace)."""
    if not key or not _is_one(signature):
        return False
    with tempfile.TemporaryDirectory(prefix="pilothouse-verify-") as folder:
        allowed, armoured = Path(folder, "allowed_signers"), Path(folder, "approval.sig")
        # The principal is the approver's id, whose grammar knows neither spaces nor patterns.
        program, environment = _keygen()
        argv = [program, "-Y", "verify", "-f", str(allowed), "-I", approver, "-n", NAMESPACE, "-s", str(armoured)]
        try:
            allowed.write_text(f'{approver} namespaces="{NAMESPACE}" {" ".join(key.split()[:2])}\n', encoding="ascii")
            armoured.write_text(signature, encoding="ascii")
            done = subprocess.run(
                argv, check=False, input=statement, capture_output=True, timeout=_TIMEOUT, cwd=folder, env=environment
            )
        except (
            ValueError,
            subprocess.TimeoutExpired,
        ):  # text that no key and no signature has; UnicodeEncodeError is one
            return False
        return done.returncode == 0


def read(path: Path) -> str:
    """A signature from a file.

    Raises:
        UsageError: it is none.
    """
    try:
        text = path.read_bytes()[: _LIMIT + 1].decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "no-signature", f"{path} holds no SSH signature", "make one with: ssh-keygen -Y sign"
        ) from error
    if not _is_one(text):
        raise UsageError("no-signature", f"{path} holds no SSH signature", "make one with: ssh-keygen -Y sign")
    return text


def _is_one(text: str) -> bool:
    """Whether a text is one armoured signature and nothing else: ssh-keygen would overlook what follows it."""
    whole = text.strip()
    framed = whole.startswith("-----BEGIN SSH SIGNATURE-----") and whole.endswith("-----END SSH SIGNATURE-----")
    return framed and whole.count("-----BEGIN") == 1 and len(text) <= _LIMIT


def _not_signed(told: str) -> RequestRefused:
    return RequestRefused("signing-failed", f"ssh-keygen did not sign: {told}", "try the key with: ssh-keygen -Y sign")


def _keygen(*more: str) -> tuple[str, dict[str, str]]:
    """The person's own ssh-keygen, never one of the working directory; and all that it sees of the environment."""
    # An empty or relative entry of PATH would let the repository choose who signs and verifies, and what that sees.
    folders = [folder for folder in os.environ.get("PATH", "").split(":") if folder.startswith("/")]
    kept = {name: os.environ[name] for name in (*_KEPT, *more) if name in os.environ}
    environment = {**kept, "PATH": ":".join(folders)}
    try:
        return resolve("ssh-keygen", environment), environment
    except ToolFailed as error:
        raise UsageError("tool-missing", "ssh-keygen is not installed", "install OpenSSH 8.2 or later") from error
