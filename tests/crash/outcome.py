"""What a world looks like from outside, in a form in which two runs at different times are equal or differ for a reason.

Moments, commit ids and ids derived from them differ between two runs in real time, and nothing else does. So each is
replaced by a placeholder; everything else is compared as it is: names, trees, subjects, parents, rows, counts, order.
"""

from __future__ import annotations

import json
import re
import subprocess

from crash.conductor import ledger
from shipping import rows, tables

_PLACEHOLDERS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?"), "<time>"),
    (re.compile(r"\br-\d{4}-\d\d-\d\d-"), "r-<date>-"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "<date>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"), "<id>"),
)


def timeless(value):
    """A value as text, without what differs between two runs in real time."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
    for pattern, placeholder in _PLACEHOLDERS:
        text = pattern.sub(placeholder, text)
    return text


def look(world, run):
    """The world and the ledger of a run, as a flat mapping from a name to what is there."""
    return {**_refs(world), **_forge(world), **_environments(world), **_ledger(world, run)}


def differences(golden, found):
    """The names of what is not the same."""
    return sorted(name for name in golden.keys() | found.keys() if golden.get(name) != found.get(name))


def _git(world, *argv):
    done = subprocess.run(["git", "-C", str(world.origin), *argv], check=True, capture_output=True, text=True)
    return done.stdout


def _refs(world):
    found = {}
    for line in _git(world, "for-each-ref", "--format=%(refname) %(objecttype)").splitlines():
        ref, kind = line.split()
        # Each commit of the history: how many parents, what subject, which tree; a second deploy or merge would show.
        log = _git(world, "log", "--topo-order", "--format=%p%x09%s", f"{ref}^{{commit}}").splitlines()
        history = [(len(parents.split()), subject) for parents, _, subject in (item.partition("\t") for item in log)]
        found[f"ref {ref}"] = (kind, history, _files(world, ref))
    return found


def _files(world, ref):
    listed = _git(world, "ls-tree", "-r", f"{ref}^{{commit}}").splitlines()
    # The changelog names the release's date: a golden run before midnight and a killed one after it are no difference.
    plain = [line for line in listed if not line.endswith("\tCHANGELOG.md")]
    return plain, timeless(_git(world, "show", f"{ref}^{{commit}}:CHANGELOG.md"))


def _forge(world):
    file = world.folder / "forge.db"
    # An issue's body tells the run's timeline to the second: its title, labels and number must do.
    threads = rows(
        file, "SELECT number, kind, title, author, state, labels, head, base, draft FROM threads ORDER BY number"
    )
    wrote = [
        (entry["method"], timeless(entry["target"]))
        for entry in map(json.loads, (world.folder / "forge.jsonl").read_text().splitlines())
        if entry["method"] != "GET" and entry["target"] != "/graphql" and entry["status"] < 300
    ]
    return {
        "forge threads": threads,
        "forge releases": [timeless(list(row)) for row in rows(file, "SELECT tag, name, body, author, target, draft FROM releases ORDER BY id")],
        "forge comments": rows(file, "SELECT thread, author, body FROM comments ORDER BY id"),
        "forge deployments": rows(file, "SELECT environment, ref, state, description FROM deployments WHERE id > 2 ORDER BY id"),
        "forge writes": wrote,
    }  # fmt: skip


def _environments(world):
    found = {}
    for name in ("staging", "production"):
        deployments = (world.folder / name / "deployments.jsonl").read_text().splitlines()
        found[f"deployments {name}"] = [(item["version"], item["state"]) for item in map(json.loads, deployments)]
        found[f"database {name}"] = tables(world.database(name))
        backups = sorted((world.folder / name).glob("backups/*"))
        found[f"backups {name}"] = [(file.suffix, tables(file)) for file in backups]
    notices = world.project / ".pilothouse" / "notices.jsonl"
    told = map(json.loads, notices.read_text().splitlines()) if notices.exists() else ()
    found["notices"] = [(item["event"], timeless(item["text"])) for item in told]
    return found


def _ledger(world, run):
    """Each act once: its arguments where it was intended, and that it was done; and how the run ended."""
    entries = [(kind, data) for kind, of_run, data in ledger(world) if of_run == run]
    intended = [
        (data["step"], data["tool"], timeless({name: value for name, value in data["arguments"].items() if name != "body"}))
        for kind, data in entries if kind == "Intended"
    ]  # fmt: skip
    return {
        "acts intended": intended,
        "acts done": [data["step"] for kind, data in entries if kind == "Done"],
        "acts failed": [(data["step"], data["reason_code"]) for kind, data in entries if kind == "Failed"],
        "end": [(kind, timeless(data)) for kind, data in entries if kind in {"Ended", "Halted", "Refused", "Branched"}],
    }
