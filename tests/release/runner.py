"""As much of a CI runner as a composite action of shell steps needs: expressions of inputs, files for what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
_EXPRESSION = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}")


def action():
    """The composite action of this repository."""
    return YAML(typ="safe").load(ROOT / "action.yml")


@dataclass(frozen=True)
class Ran:
    """What a run of the action left behind."""

    code: int
    outputs: dict
    summary: str
    log: str


def run_action(folder, environ, **given):
    """Run the action's shell steps in a folder, as a runner does with ``uses:`` steps done already."""
    found = action()
    inputs = {name: str(item["default"]) for name, item in found["inputs"].items()}
    inputs |= {"install": "", **{name.replace("_", "-"): value for name, value in given.items()}}
    assert inputs.keys() == found["inputs"].keys()
    files = {name: folder.parent / f"{folder.name}-{name}" for name in ("output", "summary")}
    for file in files.values():
        file.write_text("")
    code, log = 0, ""
    for step in found["runs"]["steps"]:
        if step.get("if") == "inputs.install != ''" and not inputs["install"]:
            continue
        own = {name: _EXPRESSION.sub(lambda match: inputs[match[1]], str(text)) for name, text in step["env"].items()}
        path = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.environ['PATH'])}"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", str(step["run"])],
            cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=180, check=False,
            env={**environ, **own, "PATH": path, "GITHUB_OUTPUT": str(files["output"]), "RUNNER_TEMP": str(folder.parent),
                 "GITHUB_STEP_SUMMARY": str(files["summary"]), "GITHUB_WORKSPACE": str(folder)},
        )  # fmt: skip
        code, log = done.returncode, log + done.stdout + done.stderr
        if code:
            break
    said = dict(line.split("=", 1) for line in files["output"].read_text().splitlines())
    return Ran(code, said, files["summary"].read_text(), log)
