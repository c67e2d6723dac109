"""Where people are told: a message of a run, delivered to a file, a service that apprise knows, ntfy or a webhook.

A message has one id a run. Where the service can change what it showed (ntfy from 2.16, a webhook, a file of JSON
lines) the same message is told again with its new state; elsewhere it is a new message. The address of a service is a
secret: configuration names its variable, and no text from here holds it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pilothouse.errors import ToolFailed
from pilothouse_tools import grammar, web
from pilothouse_tools.text import one_line, visible

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.settings import Notice
    from pilothouse_tools.context import Context

UPDATING = frozenset({"file", "ntfy", "webhook"})
REMOTE = frozenset({"apprise", "ntfy", "webhook"})
_TIMEOUT = 5.0  # seconds for one exchange over HTTP
_DEADLINE = 20.0  # seconds for all of apprise, which may ask several services
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told. ``id`` is the same for all states of a run; ``state`` which one this is."""

    id: str
    state: str
    run: str
    product: str
    title: str
    text: str
    at: str


def message_id(run: str, started_at: str) -> str:
    """The id of a run's message: letters and digits, so that any service takes it."""
    return hashlib.sha256(f"{run} {started_at}".encode()).hexdigest()[:16]


def label(notice: Notice) -> str:
    """A channel's name in the ledger: never its address."""
    return f"{notice.channel}:{notice.url_variable or notice.path}".rstrip(":")


def deliver(context: Context, notice: Notice, message: Message) -> None:
    """Tell one channel.

    Raises:
        ToolFailed: ``notify-…``: it was not delivered; no secret is in what it says.
    """
    shown = Message(
        message.id, message.state, message.run, message.product, one_line(context.redact(message.title), 150),
        visible(context.redact(message.text)), message.at,
    )  # fmt: skip
    match notice.channel:
        case "file":
            append(context, notice.path, _fields(shown))
        case "apprise":
            _apprise(_address(context, notice), shown)
        case "ntfy":
            # ntfy before 2.16 does not know the header, and shows a new message.
            headers = {"X-Sequence-ID": shown.id, "X-Title": shown.title.encode("ascii", "replace").decode()}
            _exchange("POST", _address(context, notice), shown.text.encode(), headers, notice)
        case "webhook":
            body = json.dumps(_fields(shown), ensure_ascii=False).encode()
            _exchange(
                "PUT", _below(_address(context, notice), shown.id), body, {"Content-Type": "application/json"}, notice
            )
        case other:
            raise ToolFailed("not-supported", f"the notification channel {other[:40]!r} is not supported yet")


def _below(address: str, name: str) -> str:
    """An address with one more part of its path; what it asks (?token=…) stays."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address  # it is refused where it is used
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


def _fields(message: Message) -> dict[str, str]:
    return {
        "message": message.id, "state": message.state, "run": message.run, "product": message.product,
        "title": message.title, "text": message.text, "at": message.at,
    }  # fmt: skip


def _address(context: Context, notice: Notice) -> str:
    found = context.environ.get(notice.url_variable, "")
    if not found:
        raise ToolFailed(
            "notify-address", f"the variable {notice.url_variable} is not set",
            "set it in the conductor's environment to the service's address",
        )  # fmt: skip
    return found


# --- a file of JSON lines ---------------------------------------------------------------------------------------------


def file_of(context: Context, path: str) -> Path:
    """The file of a channel, within the project and through no symbolic link. Raises ToolFailed("notify-path")."""
    if not grammar.is_path(path):
        raise ToolFailed(
            "notify-path", f"{path[:80]!r} is no path within the project", "Mend notify in pilothouse.yml."
        )
    target = context.project
    for part in path.split("/"):
        target /= part
        if target.is_symlink():
            raise ToolFailed("notify-path", f"{path} leads through a symbolic link", "Name a plain file.")
    return target


def append(context: Context, path: str, entry: dict[str, str]) -> None:
    """One more line, durable; of lines with the same ``message`` the last one counts. Raises ToolFailed."""
    file = file_of(context, path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | _NO_FOLLOW, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=0) as stream:
            size = stream.seek(0, os.SEEK_END)
            torn = bool(size) and os.pread(descriptor, 1, size - 1) != b"\n"  # half a line, from a crash
            stream.write(b"\n" * torn + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            os.fsync(descriptor)
    except OSError as error:
        raise ToolFailed("notify-failed", f"{file.name} cannot be written: {error.strerror}") from None


# --- services ---------------------------------------------------------------------------------------------------------


def _apprise(address: str, message: Message) -> None:
    try:
        import apprise
    except ImportError:
        raise ToolFailed(
            "notify-not-installed", "apprise is not installed", "install it: pip install 'pilothouse[notify]'"
        ) from None
    # Its warnings may hold the address, and would be printed where nobody configured logging.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    outcome: list[str] = []

    def tell() -> None:
        try:
            service = apprise.Apprise()
            if not service.add(address):
                outcome.append("does not understand the address")
            elif not service.notify(title=message.title, body=message.text):
                outcome.append("could not deliver it")
        except Exception as error:  # noqa: BLE001 - of a library, in a thread: it would print the address with it
            outcome.append(f"failed: {type(error).__name__}")

    # A thread that nobody waits for at the end: a service that hangs may not keep a conductor alive.
    thread = threading.Thread(target=tell, name="apprise", daemon=True)
    thread.start()
    thread.join(_DEADLINE)
    if thread.is_alive():
        raise ToolFailed("notify-failed", f"apprise did not end within {_DEADLINE:.0f} s")
    if outcome:
        raise ToolFailed("notify-failed", f"apprise {outcome[0]}", "try the address with apprise's own command")


def _exchange(method: str, address: str, body: bytes, headers: dict[str, str], notice: Notice) -> None:
    import httpx2

    host, port, url, login = _parsed(address)
    try:
        target = httpx2.URL(url)
        reached = web.resolve(host, port, allow_private=notice.allow_private)
        with httpx2.Client(trust_env=False, follow_redirects=False, timeout=_TIMEOUT) as client:
            answer = client.request(
                method, target.copy_with(host=reached), content=body, extensions={"sni_hostname": host},
                headers={"Host": target.netloc.decode("ascii"), "User-Agent": "pilothouse", **login, **headers},
            )  # fmt: skip
    except ToolFailed as refused:
        hint = "for a service on a private network: allow_private: true"
        raise ToolFailed("notify-failed", f"{notice.channel} is not reached: {refused.reason_code}", hint) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        # The error's own words may hold the address.
        raise ToolFailed("notify-failed", f"{notice.channel} does not answer: {type(error).__name__}") from None
    if not answer.is_success:
        raise ToolFailed("notify-failed", f"{notice.channel} answers {answer.status_code}")


def _parsed(address: str) -> tuple[str, int, str, dict[str, str]]:
    """Host, port, the URL without its login, and the login as a header."""
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or not address.isascii():
        raise ToolFailed("notify-address", "the address is no http or https URL", "mend the variable's value")
    user, secret = unquote(parts.username or ""), unquote(parts.password or "")
    login: dict[str, str] = {}
    if secret and not user:
        login = {"Authorization": f"Bearer {secret}"}
    elif user:
        login = {"Authorization": f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"}
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return parts.hostname, port, url, login
