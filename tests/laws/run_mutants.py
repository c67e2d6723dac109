"""``make mutants``: put each law's mutant into a copy of the tree, and see the law's test fail.

python tests/laws/run_mutants.py            # every law
python tests/laws/run_mutants.py I3 I17     # some
python tests/laws/run_mutants.py --others   # and tell which tests of other laws a mutant breaks as well
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tools", "tests", "agents", "prompts", "workflows")
FILES = ("pyproject.toml", "README.md", "state.yml.example", "Makefile")
sys.path.insert(0, str(ROOT / "tests"))

from laws.mutants import LAWS, Law  # noqa: E402 - found only from here


def stale(root: Path) -> list[str]:
    """What of the table does not fit the tree: texts that are not there exactly once, mutants that are no Python."""
    found = []
    for name, law in LAWS.items():
        text = (root / law.file).read_text(encoding="utf-8")
        if (times := text.count(law.old)) != 1:
            found.append(f"{name}: the text stands {times} times in {law.file}, not once: {law.old.strip()[:60]}")
            continue
        try:
            compile(text.replace(law.old, law.new), law.file, "exec")
        except SyntaxError as error:
            found.append(f"{name}: the mutant is no Python: {error}")
    return found


def copied(folder: Path) -> None:
    """The tree, without what is made."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    for name in FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)


def failing(folder: Path, *chosen: str) -> tuple[int, set[str]]:
    """Run tests in a copy: pytest's exit code, and the names of those that failed."""
    # Bytecode is kept by a file's second and size: a mutant within the same second could be missed.
    env = {**os.environ, "PYTHONPATH": f"{folder / 'src'}:{folder / 'tools'}", "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-rfE", *chosen]
    try:
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return 1, set(chosen)  # a test that does not end notices, too
    names = {line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))}
    return done.returncode, {name.partition("[")[0] for name in names}


def judged(folder: Path, name: str, law: Law, *, others: bool) -> str:
    """What is wrong with a law's test or mutant; empty where the test passes without it and fails with it."""
    test = f"tests/laws/{law.test}"
    file = folder / law.file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(law.old, law.new), encoding="utf-8")
    try:
        code, broken = failing(folder, "tests/laws" if others else test)
    finally:
        file.write_text(text, encoding="utf-8")
    if code != 1 or test not in broken:
        return f"{name}: its test does not notice the mutant: {law.flaw} (pytest {code})"
    if rest := sorted(item.rpartition("::")[2] for item in broken - {test}):
        print(f"  {name} also breaks: {', '.join(rest)}")
    return ""


def main() -> int:
    """Judge the chosen laws; 0 where every mutant is noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("laws", nargs="*", metavar="LAW", help="I3 I17 …; none: all of them")
    parser.add_argument("--others", action="store_true", help="run all laws' tests under each mutant")
    asked = parser.parse_args()
    if unknown := [name for name in asked.laws if name not in LAWS]:
        parser.error(f"no mutant for {', '.join(unknown)}")
    if found := stale(ROOT):
        print("the table is stale:", *found, sep="\n  ")
        return 2
    chosen = {name: LAWS[name] for name in (asked.laws or LAWS)}
    with tempfile.TemporaryDirectory(prefix="mutants-") as made:
        folder = Path(made)
        copied(folder)
        code, broken = failing(folder, *sorted({f"tests/laws/{law.test}" for law in chosen.values()}))
        if code:
            print(f"without any mutant these fail already (pytest {code}):", *sorted(broken), sep="\n  ")
            return 2
        bad = []
        for name, law in chosen.items():
            began = time.monotonic()
            problem = judged(folder, name, law, others=asked.others)
            bad += [problem] if problem else []
            print(
                f"{'MISSED ' if problem else 'noticed'} {name:4} {law.flaw}  ({time.monotonic() - began:.1f} s)",
                flush=True,
            )
    print(f"{len(chosen) - len(bad)} of {len(chosen)} mutants are noticed", *bad, sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
