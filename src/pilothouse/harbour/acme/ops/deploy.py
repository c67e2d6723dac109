"""Puts a commit onto Acme's platform, and asks what runs there: `deploy.py put|look|check ENVIRONMENT COMMIT VERSION`.

The platform is reached through the one variable of the environment, `SOCKET#ENVIRONMENT`; what opens staging cannot
open production. `look` and `check` change nothing and print one JSON object.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

WAIT_SECONDS = 60
LATEST_SECONDS = 2.5  # what the platform accepted begins by then, or never


class Failed(Exception):
    """The platform did not do it."""


class Unanswered(Failed):
    """The platform did not say what it did."""


def ask(environment: str, question: dict[str, object]) -> dict[str, object]:
    """Puts one question to the platform and returns its answer."""
    variable = f"ACME_{environment.upper()}_PLATFORM"
    address, _, opens = os.environ.get(variable, "").rpartition("#")
    if opens != environment:
        raise Failed(f"{variable} does not open {environment}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(WAIT_SECONDS)
        line.connect(address)
        line.sendall(json.dumps({**question, "environment": environment}).encode() + b"\n")
        with line.makefile(encoding="utf-8") as answers:
            said: dict[str, object] = {}
            for answer in map(json.loads, answers):
                if "exit" in answer:
                    return {**said, "code": answer["exit"]}
                said |= answer
    raise Unanswered("the platform's connection broke before it answered")


def put(environment: str, commit: str, version: str) -> int:
    """Deploys, and waits until it is done.

    Whoever started this takes its failure for one: so it fails only when nothing of it can land any more.
    """
    try:
        answer = ask(environment, {"do": "deploy", "sha": commit})
    except Unanswered:
        time.sleep(LATEST_SECONDS)
        raise
    print(answer.get("say", version))
    return 1 if answer["code"] else 0


def look(environment: str, commit: str, _version: str) -> int:
    """Whether the commit is what the platform runs, once all that was asked of it is done."""
    runs = ask(environment, {"do": "running"})
    state = "applied" if runs.get("sha") == commit else "absent"
    print(json.dumps({"state": state, "detail": f"{environment} runs {runs.get('version')} ({runs.get('sha')})"}))
    return 0


def check(environment: str, commit: str, version: str) -> int:
    """As `look`; but another version under this very commit is a contradiction."""
    runs = ask(environment, {"do": "running"})
    if runs.get("sha") == commit and runs.get("version") != version:
        print(json.dumps({"state": "conflict", "detail": f"{commit} says it is {runs.get('version')}, not {version}"}))
        return 0
    return look(environment, commit, version)


COMMANDS = {"put": put, "look": look, "check": check}

if __name__ == "__main__":
    try:
        sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
    except (Failed, OSError) as error:
        sys.exit(f"deploy: {error}")
