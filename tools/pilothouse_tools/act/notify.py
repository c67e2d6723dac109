"""Tell people, once each, however often the run is resumed."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe, Reach
from pilothouse_tools import grammar
from pilothouse_tools.door import Actor, Arguments, acts, no_pins
from pilothouse_tools.text import one_line, visible

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse_tools.context import Context

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC


def _marker(context: Context, key: str) -> Path:
    return context.project / ".pilothouse" / "notified" / key


def _file(context: Context, path: str) -> Path:
    """The file of a channel, within the project and through no symbolic link."""
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


def _missing(context: Context, key: str) -> list[str]:
    """The channels that do not have the notice yet."""
    return [
        channel.channel
        for channel in context.product.notify
        if not (
            _marker(context, key).exists()
            if channel.channel == "console"
            else _holds(_file(context, channel.path), key)
        )
    ]


def _probe(context: Context, _arguments: Arguments, key: str) -> Probe:
    missing = _missing(context, key)
    if missing:
        return Probe(Presence.ABSENT, f"not told yet: {', '.join(missing)}")
    return Probe(
        Presence.APPLIED, f"told by {', '.join(item.channel for item in context.product.notify) or 'no channel'}"
    )


def _apply(context: Context, arguments: Arguments, permit: Permit) -> None:
    body = context.redact(arguments.text("body"))
    for channel in context.product.notify:
        match channel.channel:
            case "file":
                file = _file(context, channel.path)
                if not _holds(file, permit.key):
                    _append(context, file, arguments.text("event"), body, permit)
            case "console":
                _print_once(_marker(context, permit.key), body)
            case other:
                raise ToolFailed("not-supported", f"the notification channel {other[:40]!r} is not supported yet")


def _append(context: Context, file: Path, event: str, body: str, permit: Permit) -> None:
    entry = {
        "key": permit.key, "run": permit.run, "product": context.product.name, "event": one_line(event, 80),
        "at": context.clock.now().isoformat(timespec="seconds"), "text": visible(body),
    }  # fmt: skip
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
