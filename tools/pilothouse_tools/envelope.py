"""Signed records: DSSE envelopes, made with an ed25519 key or by ssh-keygen, verified offline with an SSH public key.

The protocol is DSSE v1 (https://github.com/secure-systems-lab/dsse). An ed25519 PEM key signs the pre-authentication
encoding itself, as every DSSE tool expects; an SSH key signs it by ``ssh-keygen -Y sign``, and the envelope carries the
armoured signature. Nothing of cryptography is ours.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilothouse.errors import ToolFailed
from pilothouse_tools import child

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilothouse.settings import Audit

PAYLOAD_TYPE = "application/vnd.pilothouse.record+json"
NAMESPACE = "pilothouse-record"
_ARMOUR = b"-----BEGIN SSH SIGNATURE-----"
_PEM = (b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_LARGEST = 64_000
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Key:
    """A private key's file, read once: what it is, and who may use it."""

    path: Path
    pem: bytes  # empty: an SSH key, which ssh-keygen reads itself
    environ: Mapping[str, str]


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """What is signed: DSSE's pre-authentication encoding of a payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def key_of(audit: Audit | None, variables: Mapping[str, str], environ: Mapping[str, str]) -> Key | None:
    """The key with which records are signed; None where none is configured.

    Args:
        audit: the product's.
        variables: the conductor's environment, which names the key's file.
        environ: what ssh-keygen receives.

    Raises:
        ToolFailed: ``signing-key-missing``: a key is configured, and there is none that can be read.
    """
    if audit is None or not audit.signing_key:
        return None
    name = audit.signing_key
    hint = f"Set {name} to the path of an ed25519 or SSH private key without a passphrase."
    place = variables.get(name, "")
    if not place.startswith("/"):
        told = "is not set" if not place else "names no absolute path"
        raise ToolFailed("signing-key-missing", f"{name}, which names the key that signs records, {told}", hint)
    try:
        with Path(place).open("rb") as file:
            data = file.read(_LARGEST)
    except OSError as error:
        raise ToolFailed(
            "signing-key-missing", f"the key that {name} names cannot be read: {error.strerror}", hint
        ) from None
    if data.lstrip().startswith(_OPENSSH):
        return Key(Path(place), b"", environ)
    if not data.lstrip().startswith(_PEM):
        raise ToolFailed("signing-key-missing", f"the file that {name} names holds no private key", hint)
    _private(data)
    return Key(Path(place), data, environ)


def _private(pem: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise ToolFailed("signing-key-missing", "a PEM key signs through cryptography, which is not installed",
                         "pip install 'pilothouse[audit]', or use an SSH key") from None  # fmt: skip
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ToolFailed("signing-key-missing", "the signing key is no ed25519 key without a passphrase",
                         "Make one: openssl genpkey -algorithm ed25519") from None  # fmt: skip
    return key


def sign(payload: bytes, key: Key) -> bytes:
    """The bytes of the envelope's file.

    Raises:
        ToolFailed: ``signing-failed``.
    """
    message = pae(payload)
    if key.pem:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        private = _private(key.pem)
        public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        signature = private.sign(message)
    else:
        public, signature = _by_ssh(message, key)
    envelope = {
        "payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": fingerprint(public), "sig": base64.b64encode(signature).decode()}],
    }  # fmt: skip
    return (json.dumps(envelope, indent=2, sort_keys=True) + "\n").encode()


def _by_ssh(message: bytes, key: Key) -> tuple[str, bytes]:
    # No terminal and no agent: a key with a passphrase cannot sign here, and must not wait for one.
    environ = {**key.environ, "SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
    with tempfile.TemporaryDirectory(prefix="pilothouse-sign-") as folder:
        file = Path(folder, "record")
        file.write_bytes(message)
        argv = ["ssh-keygen", "-Y", "sign", "-f", str(key.path), "-n", NAMESPACE, str(file)]
        done = child.run(argv, cwd=Path(folder), env=environ, timeout=_TIMEOUT)
        signed = Path(folder, "record.sig")
        if done.code or not signed.is_file():
            raise _unsigned(done)
        signature = signed.read_bytes()
        shown = child.run(["ssh-keygen", "-y", "-f", str(key.path)], cwd=Path(folder), env=environ, timeout=_TIMEOUT)
        if shown.code:
            raise _unsigned(shown)
    return shown.stdout.decode("ascii", "replace").strip(), signature


def _unsigned(done: child.Finished) -> ToolFailed:
    told = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return ToolFailed("signing-failed", f"ssh-keygen did not sign the record: {told[-1][:200] if told else done.code}",
                      "Try the key with: ssh-keygen -Y sign")  # fmt: skip


def fingerprint(public: str) -> str:
    """The fingerprint of an SSH public key, as ssh-keygen writes it: the key's id in an envelope. Empty: no key."""
    try:
        blob = base64.b64decode(public.split()[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        return ""
    return "SHA256:" + base64.b64encode(sha256(blob).digest()).decode().rstrip("=")


def opened(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The payload of an envelope, and its signatures by key id. Proves nothing.

    Raises:
        ToolFailed: ``envelope-malformed``.
    """
    try:
        found = json.loads(data)
        payload = base64.b64decode(found["payload"], validate=True)
        if found["payloadType"] != PAYLOAD_TYPE:
            raise ToolFailed("envelope-malformed", f"the payload is of the type {str(found['payloadType'])[:80]!a}")
        signatures = [(str(s["keyid"]), base64.b64decode(s["sig"], validate=True)) for s in found["signatures"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ToolFailed("envelope-malformed", "the file is no DSSE envelope") from None
    return payload, signatures


def verified(data: bytes, public: str, environ: Mapping[str, str]) -> bytes | None:
    """The payload of an envelope that this SSH public key signed; None where it did not, or that cannot be told.

    Raises:
        ToolFailed: ``envelope-malformed``; ``cannot-verify``: the extra ``audit`` or ssh-keygen is not installed.
    """
    payload, signatures = opened(data)
    message = pae(payload)
    for keyid, signature in signatures:
        if keyid != fingerprint(public):
            continue
        if signature.startswith(_ARMOUR):
            if _ssh_verifies(message, signature, public, environ):
                return payload
        elif _ed25519_verifies(message, signature, public):
            return payload
    return None


def _ed25519_verifies(message: bytes, signature: bytes, public: str) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_ssh_public_key
    except ImportError:
        raise ToolFailed("cannot-verify", "an ed25519 signature is verified through cryptography, not installed here",
                         "pip install 'pilothouse[audit]'") from None  # fmt: skip
    try:
        key = load_ssh_public_key(public.encode())
        if not isinstance(key, Ed25519PublicKey):
            return False
        key.verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _ssh_verifies(message: bytes, signature: bytes, public: str, environ: Mapping[str, str]) -> bool:
    # ssh-keygen would overlook what follows the first signature.
    if signature.count(b"-----BEGIN") != 1 or not signature.rstrip().endswith(b"-----END SSH SIGNATURE-----"):
        return False
    with tempfile.TemporaryDirectory(prefix="pilothouse-verify-") as folder:
        allowed, armoured = Path(folder, "allowed_signers"), Path(folder, "record.sig")
        allowed.write_text(f'records namespaces="{NAMESPACE}" {" ".join(public.split()[:2])}\n', encoding="utf-8")
        armoured.write_bytes(signature)
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "records", "-n", NAMESPACE, "-s", str(armoured)]
        try:
            done = child.run(argv, cwd=Path(folder), env=environ, timeout=_TIMEOUT, stdin=message)
        except ToolFailed as error:
            raise ToolFailed(
                "cannot-verify", "ssh-keygen is not installed here", "install OpenSSH 8.2 or later"
            ) from error
        return done.code == 0
