"""The conductor with a pen: ``recording.py OPS.json COMMAND …`` runs the real command line and writes down what it does.

Written down, in order: every child process (arguments, folder, environment, standard input, exit code), every HTTP
request, every pause, every folder that is removed; each with what it was for: a look, a probe, a pin, an effect, a
read-back. ``replay.py`` does the same again, without a conductor.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from pilothouse.cli.main import main
from pilothouse_tools import child, web
from pilothouse_tools.toolbox import Toolbox

PURPOSES = {"observe": "look", "probe": "probe", "pins": "pin", "apply": "effect", "verify": "read-back"}
ops: list[dict[str, Any]] = []
purpose: list[str] = []
alternates: list[Path] = []


def note(do: str, **what: Any) -> None:
    """Write one operation down."""
    for file in alternates:
        if file.exists():
            ops.append({"do": "write", "purpose": "set-up", "path": str(file), "text": file.read_text()})
            alternates.remove(file)
    ops.append({"do": do, "purpose": purpose[-1] if purpose else "set-up", **what})


def recording() -> None:
    """Put the pen into the places through which everything goes."""
    run, get, sleep, remove = child.run, web.get, time.sleep, shutil.rmtree

    def noted_run(
        argv: Any, *, cwd: Path, env: Any, timeout: float, stdin: bytes = b"", output_cap: int = 1_000_000
    ) -> Any:
        words = list(argv)
        if "--input" in words:
            body = Path(words[words.index("--input") + 1])
            note("write", path=str(body), text=body.read_text())
        done = run(argv, cwd=cwd, env=env, timeout=timeout, stdin=stdin, output_cap=output_cap)
        fed = base64.b64encode(stdin).decode()
        if "init" in words:
            # The scratch repository is made aside and moved into its place; a script makes it where it is to be.
            place = Path(words[-1]).parents[1] / Path(words[-1]).name
            words[-1], cwd = str(place), place.parent
            alternates.append(place / "objects" / "info" / "alternates")
        note("run", argv=words, cwd=str(cwd), env=dict(env), stdin=fed, timeout=timeout, code=done.code)
        return done

    def noted_get(url: str, *, timeout: float, allow_private: bool) -> Any:
        note("get", url=url, timeout=timeout)
        return get(url, timeout=timeout, allow_private=allow_private)

    def noted_sleep(seconds: float) -> None:
        note("sleep", seconds=seconds)
        sleep(seconds)

    def noted_remove(path: Any, **options: Any) -> None:
        note("remove", path=str(path))
        remove(path, **options)

    child.run, web.get, time.sleep, shutil.rmtree = noted_run, noted_get, noted_sleep, noted_remove  # type: ignore[assignment]
    for name, word in PURPOSES.items():
        setattr(Toolbox, name, _labelled(getattr(Toolbox, name), word))


def _labelled(method: Any, word: str) -> Any:
    def labelled(*arguments: Any) -> Any:
        purpose.append(word)
        try:
            return method(*arguments)
        finally:
            purpose.pop()

    return labelled


if __name__ == "__main__":
    target = Path(sys.argv[1])
    recording()
    try:
        main(sys.argv[2:])
    finally:
        target.write_text(json.dumps(ops), encoding="utf-8")
