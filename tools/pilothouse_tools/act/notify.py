"""Tell people, once each, however often the run is resumed."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe, Reach
from pilothouse_tools import notifier
from pilothouse_tools.door import Actor, Arguments, acts, no_pins
from pilothouse_tools.text import one_line, visible

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.settings import Notice
    from pilothouse_tools.context import Context

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC


def _marker(context: Context, key: str) -> Path:
    return context.project / ".pilothouse" / "notified" / key


def _holds(file: Path, key: str) -> bool:
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ToolFailed("notify-failed", f"{file.name} cannot be read: {error.strerror}") from None
    return any(_key_of(line) == key for line in lines if key.encode() in line)


def _key_of(line: bytes) -> str:
    try:
        entry = json.loads(line)
    except ValueError:  # half a line, from a crash: it tells nobody anything
        return ""
    return str(entry.get("key", "")) if isinstance(entry, dict) else ""


def _missing(context: Context, key: str) -> list[Notice]:
    """The channels that do not have the notice yet."""
    return [notice for notice in context.product.notify if not _told(context, notice, key)]


def _told(context: Context, notice: Notice, key: str) -> bool:
    if notice.channel == "file":
        return _holds(notifier.file_of(context, notice.path), key)
    return _marker(context, _own(notice, key)).exists()


def _own(notice: Notice, key: str) -> str:
    """The name of a channel's marker; the console's is the key alone."""
    return key if notice.channel == "console" else f"{key}.{notice.channel}.{notice.url_variable}"


def _probe(context: Context, _arguments: Arguments, key: str) -> Probe:
    missing = _missing(context, key)
    if missing:
        return Probe(Presence.ABSENT, f"not told yet: {', '.join(item.channel for item in missing)}")
    lost = [f"{notifier.label(item)} ({why})" for item in context.product.notify if (why := _lost(context, item, key))]
    told = [item.channel for item in context.product.notify if not _lost(context, item, key)]
    detail = f"told by {', '.join(told) or 'no channel'}" + (f"; not delivered: {', '.join(lost)}" if lost else "")
    return Probe(Presence.APPLIED, detail, {"undelivered": [*lost]} if lost else {})


def _lost(context: Context, notice: Notice, key: str) -> str:
    """Why a channel did not deliver the notice; empty where it did."""
    if notice.channel not in notifier.REMOTE:
        return ""
    try:
        return _marker(context, _own(notice, key)).read_text(encoding="utf-8")
    except OSError:
        return ""


def _apply(context: Context, arguments: Arguments, permit: Permit) -> None:
    body = context.redact(arguments.text("body"))
    event = one_line(arguments.text("event"), 80)
    at = context.clock.now().isoformat(timespec="seconds")
    for notice in context.product.notify:
        if _told(context, notice, permit.key):
            continue
        match notice.channel:
            case "file":
                entry = {"key": permit.key, "run": permit.run, "product": context.product.name, "event": event}
                notifier.append(context, notice.path, {**entry, "at": at, "text": visible(body)})
            case "console":
                _print_once(_marker(context, permit.key), body)
            case channel if channel in notifier.REMOTE:
                own = notifier.message_id(context.run_id, context.started_at)
                title = body.partition("\n")[0]
                message = notifier.Message(own, event, permit.run, context.product.name, title, body, at)
                _tell_service(context, notice, message, permit.key)
            case other:
                raise ToolFailed("not-supported", f"the notification channel {other[:40]!r} is not supported yet")


def _tell_service(context: Context, notice: Notice, message: notifier.Message, key: str) -> None:
    """Tell a service. That it is dead fails nothing: the marker says so, and with it what is read back."""
    marker = _marker(context, _own(notice, key))
    _mark(marker, "it is not known whether it was")  # first: a notice may be lost with a crash, but is never told twice
    try:
        notifier.deliver(context, notice, message)
    except ToolFailed as failure:
        marker.write_text(context.redact(failure.message), encoding="utf-8")
    else:
        marker.write_text("", encoding="utf-8")


def _mark(marker: Path, text: str) -> None:
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o644), "w") as stream:
            stream.write(text)
    except OSError as error:
        raise ToolFailed("notify-failed", f"a channel's marker cannot be written: {error.strerror}") from None


def _print_once(marker: Path, body: str) -> None:
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        # The marker comes first: a notice may be lost with a crash, but is never told twice.
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o644))
    except FileExistsError:
        return
    except OSError as error:
        raise ToolFailed("notify-failed", f"the console's marker cannot be written: {error.strerror}") from None
    sys.stderr.write(f"{visible(body)}\n")
    sys.stderr.flush()


TOOLS = (
    Actor(
        acts(
            "notify.send",
            "Tell the configured channels, once.",
            {"event": Argument("text"), "body": Argument("text", text_body=True)},
            {},
            effect=EffectClass.KEYED, reach=Reach.WORKSPACE,
        ),
        _probe, _apply, no_pins,
    ),
)  # fmt: skip
