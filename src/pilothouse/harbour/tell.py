"""Tells the supervisor what happens: `tell.py SOCKET pushed | late REF | lost REF | somebody FAULT`, called by hooks.

A script of its own, without any import of Pilothouse: it starts in 20 ms. `pushed`, `late` and `lost` read the ref
updates (`old new ref`) on standard input, as git gives them to a hook; REF is what deploys production.
"""

import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

WAIT_SECONDS = 120


def ask(address: str, question: dict[str, object]) -> int:
    """Puts one question, prints what comes back line by line, and returns the exit code that ends it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(WAIT_SECONDS)
        line.connect(address)
        line.sendall(json.dumps(question).encode() + b"\n")
        with line.makefile(encoding="utf-8") as answers:
            for answer in map(json.loads, answers):
                if "exit" in answer:
                    return int(answer["exit"])
                sys.stdout.write(f"{answer['say']}\n")
                sys.stdout.flush()
    return 1


def keep_quarantined_objects() -> None:
    """The pushed objects vanish with the push that is about to die: the late landing needs them."""
    quarantine, objects = Path(os.environ["GIT_QUARANTINE_PATH"]), Path(os.environ.get("GIT_DIR", ".")) / "objects"
    for file in quarantine.rglob("*"):
        target = objects / file.relative_to(quarantine)
        if file.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def main() -> int:
    """Puts the question that the first argument names."""
    address, what, *rest = sys.argv[1:]
    if what == "somebody":
        return ask(address, {"do": "somebody", "fault": rest[0]})
    updates = [line.split() for line in sys.stdin]
    refs = [{"old": old, "new": new, "ref": ref} for old, new, ref in updates]
    if what == "pushed":
        return ask(address, {"do": "pushed", "refs": refs})
    aimed = [update for update in refs if update["ref"] == rest[0]]
    if not aimed:
        return 0
    if what == "late":
        keep_quarantined_objects()
    code = ask(address, {"do": what, "refs": aimed})
    if code == 0:
        # The pusher's connection dies here, without an answer.
        os.kill(os.getppid(), signal.SIGTERM)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"harbour: the supervisor does not answer ({error}); nothing is deployed and no check runs")
