"""Whole releases in a world where everything that may speak says the secrets, in every shape: nobody hears one (AUT-4, I7, I8).

The commits' messages, the forge's titles, the commands of the repository, the suites, the logs and the health page all
echo the value of every credential. Afterwards no file of the project, no entry of the ledger, no word on standard output
or standard error, and nothing that was sent to the forge holds one.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
from urllib.parse import quote

import pytest

from pilothouse.harbour.history import git as git_of_the_sandbox
from shipping import rows

PROGRAM = (sys.executable, "-m", "pilothouse.cli.main")
# Each is unlike the others in every part, so that half of one is recognised, too.
CANARIES = {
    "CANARY_STAGING": "stg/9fK2+wq7Zr4Lx1Nv8Tb3Hy6Jm0Pc5Qd",
    "CANARY_PRODUCTION": "prd&Vs3Gx8\"Bk1Yt6Rz4'Wm9Cn2Lf7Dh5Jp0=Q",
    "CANARY_FORGE": "ghp-Zd5Hq1Uo8Iy3Fw6Ae9Kt2Bn7Xm4Cv0Rl",
}
# What the repository's code does with what it holds. It runs as the project's own: commands, suites, the server.
HOSTILE = '''
import base64 as _b, json as _j, os as _o, pathlib as _p, quopri as _q, re as _r, sys as _s, urllib.parse as _u
_PLACE = _p.Path({place!r})
_NAMES = {names!r}
def _forms(s):
    r = s.encode()
    yield from (s, s[::-1], r.hex(), r.hex().upper(), r.hex(":"), _j.dumps(s)[1:-1], _j.dumps(_j.dumps(s)), repr(r))
    yield from (_j.dumps(s).replace("&", "\\\\u0026").replace("=", "\\\\u003d"), _q.encodestring(r).decode())
    yield from (_r.sub("[^a-zA-Z0-9]", lambda m: "&#%d;" % ord(m[0]), s), s[:9] + "\\x1b[31m" + s[9:])
    yield from (_u.quote(s), _u.quote(s, safe=""), _u.quote_plus(s), _u.quote(s, safe="").lower())
    for before in (b"", b"u", b"us", b"user:"):
        for encode in (_b.b64encode, _b.urlsafe_b64encode):
            yield encode(before + r).decode()
def said():
    """Every held value in every form, whole and wrapped at some columns."""
    told = []
    values = [_o.environ[name] for name in _NAMES if name in _o.environ]
    values += list(_j.loads((_PLACE / "heard.json").read_text()))
    for value in values:
        for form in _forms(value):
            told.append("ok " + form)
            for column in (7, 13, 76):
                told.append("\\n".join(form[at:at + column] for at in range(0, len(form), column)))
    return told
def debug():
    """What the deployed server adds to its answers; not the one that the unit tests start."""
    return {{"debug": said()}} if _o.environ.get("ACME_SHA") else {{}}
def note(what):
    """Who could read what: names of variables, and what the process above shows of its own."""
    seen = {{name for name in _NAMES if name in _o.environ}}
    # The superuser reads every process whatever it does about it; where the tests run as that, this is not to be shown.
    for file in _p.Path("/proc").glob("[0-9]*/environ") if _o.geteuid() else ():
        try:
            text = file.read_bytes()
        except OSError:
            continue
        if file.parent.name != str(_o.getpid()):
            seen |= {{f"{{name}} of another process" for name in _NAMES if name.encode() + b"=" in text}}
    with open(_PLACE / "seen.jsonl", "a") as file:
        file.write(_j.dumps([what, sorted(seen)]) + "\\n")
'''


CALLED = "    try:\n        answer = COMMANDS[arguments[0]](*arguments[1:])\n"
LISTENING = """\
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from app.hostile import note, said
    note(arguments)
    print('\\n'.join(said()), file=sys.stderr)
"""
ANSWERED = "    if answer is not None:\n"
ECHOING = """\
    if arguments[0] == 'logs':
        print('\\n'.join(said()))
    if answer is not None and 'detail' in answer:
        answer['detail'] = ' '.join(said())
"""


def git(folder, *argv):
    done = subprocess.run(
        ["git", "-c", "user.name=Mallory", "-c", "user.email=mallory@acme.test", "-C", str(folder), *argv],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def edit(file, *changes):
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


class Infested:
    """A sandbox world whose project's code was written by somebody who wants the credentials."""

    def __init__(self, world):
        self.world = world
        self.place = world.folder / "place"
        self.place.mkdir()
        (self.place / "heard.json").write_text(
            json.dumps(list(CANARIES.values()))
        )  # the server and the suites hold none
        self.dev = world.folder / "dev"
        git(world.folder, "clone", "-q", str(world.origin), str(self.dev))
        self.environ = {**os.environ, **world.environment, **CANARIES, "COLUMNS": "100"}
        self._code()
        self._configuration()
        self.leaked = "feat: " + " ".join(CANARIES.values())[:180] + " (#41)\n\n" + "\n".join(CANARIES.values())
        self.push(self.leaked)
        self._forge()

    def _code(self):
        app = self.dev / "app"
        (app / "hostile.py").write_text(HOSTILE.format(place=str(self.place), names=list(CANARIES)))
        edit(app / "manage.py", (
            CALLED,
            f"{LISTENING}{CALLED}",
        ), (
            ANSWERED,
            f"{ECHOING}{ANSWERED}",
        ))  # fmt: skip
        edit(app / "server.py", (
            'json.dumps({"status": "ok", "database": self.store.identity()})',
            'json.dumps({"status": "ok", "database": self.store.identity(), **__import__("app.hostile").hostile.debug()})',
        ), (
            'json.dumps({"version": self.version, "sha": self.sha})',
            'json.dumps({"version": self.version, "sha": self.sha, **__import__("app.hostile").hostile.debug()})',
        ))  # fmt: skip
        for name in ("smoke", "e2e"):
            (self.dev / "tests" / name / "test_hostile.py").write_text(
                "import sys\nimport unittest\n\nfrom app.hostile import note, said\n\n\n"
                "class HostileTest(unittest.TestCase):\n    def test_it_echoes(self) -> None:\n"
                f"        note(['suite', '{name}'])\n        print('\\n'.join(said()))\n"
                "        print('\\n'.join(said()), file=sys.stderr)\n"
            )

    def _configuration(self):
        edit(self.dev / "pilothouse.yml",
            ("credentials: [ACME_STAGING_DB]", "credentials: [ACME_STAGING_DB, CANARY_STAGING]"),
            ("credentials: [ACME_PRODUCTION_DB]", "credentials: [ACME_PRODUCTION_DB, CANARY_PRODUCTION]"),
            ("credentials: [GH_TOKEN]", "credentials: [GH_TOKEN, CANARY_FORGE]"),
            ("groups: [ceo],", f'groups: [ceo], ssh_key: "{self._key()}",'),
        )  # fmt: skip

    def _key(self):
        """A key of the CEO: the configuration changes in the range, and a standing approval never answers for that."""
        self.key = self.world.folder / "ceo-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.key)], check=True)
        return " ".join(self.key.with_suffix(".pub").read_text().split()[:2])

    def _forge(self):
        loud = " ".join(CANARIES.values())
        with sqlite3.connect(self.world.folder / "forge.db", timeout=30) as database:
            database.execute("UPDATE threads SET title = title || ' ' || ?, body = body || ?", (loud, loud))
            database.execute("UPDATE checks SET summary = ?", (loud,))

    def push(self, message):
        git(self.dev, "add", "-A")
        git(self.dev, "commit", "-q", "--allow-empty", "-m", message)
        git(self.dev, "push", "-q", "origin", "HEAD:refs/heads/main")
        git(self.world.project, "pull", "-q", "--ff-only")
        sha = git(self.dev, "rev-parse", "HEAD")
        for _ in range(600):
            found = rows(self.world.folder / "forge.db", f"SELECT status FROM checks WHERE sha = '{sha}'")
            if found and all(status == "completed" for (status,) in found):
                return sha
            subprocess.run(["sleep", "0.1"], check=True)
        raise AssertionError("the sandbox's CI did not answer")

    def allow(self, fingerprints):
        readiness = "allow_skipped: []"
        edit(
            self.dev / "pilothouse.yml", (readiness, f"{readiness}\n      allowed_secrets: [{', '.join(fingerprints)}]")
        )
        return self.push("chore: the leak is known and the values are replaced")

    def call(self, *words):
        """The program as a person calls it: code, standard output, standard error."""
        done = subprocess.run(
            [*PROGRAM, "--project", str(self.world.project), *words], env=self.environ, capture_output=True, text=True,
            timeout=280, check=False,
        )  # fmt: skip
        self.heard = f"{done.stdout}\n{done.stderr}"
        assert_silent(self.heard, " ".join(words))
        return done.returncode, done.stdout


def needles():
    """What must be nowhere, without white space and in small letters: written here anew, not asked of the redactor."""
    for name, value in CANARIES.items():
        raw = value.encode()
        whole = [value[::-1], raw.hex(), raw.hex(":"), quote(value, safe=""), json.dumps(value)[1:-1]]
        whole += [re.sub("[^a-zA-Z0-9]", lambda mark: f"&#{ord(mark[0])};", value)]
        whole += [json.dumps(value)[1:-1].replace("&", "\\u0026").replace("=", "\\u003d"), value.replace("=", "=3D")]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole += [encode(b"x" * shift + raw).decode()[2 + shift : -4] for shift in range(3)]
        yield from ((name, form.lower()) for form in whole)
        # Not even half of it as it is: tools cut off what they show.
        yield from ((name, value[at : at + 16].lower()) for at in range(len(value) - 15))


NEEDLES = tuple(needles())


def assert_silent(text, where):
    bare = re.sub(r"\s|\\n", "", text).lower()
    for name, needle in NEEDLES:
        assert needle not in bare, f"{name} in {where}: …{bare[max(0, bare.index(needle) - 80) : bare.index(needle)]}"


def assert_nothing_kept(infested):
    """No file of the project (its .git aside, which is the repository's own), and nothing that went out to the forge."""
    world, looked = infested.world, 0
    for file in sorted(world.project.rglob("*")):
        if file.is_file() and ".git" not in file.relative_to(world.project).parts:
            assert_silent(file.read_bytes().decode("utf-8", "replace"), str(file))
            looked += 1
    assert looked > 20
    with sqlite3.connect(f"file:{world.project}/.pilothouse/ledger.db?mode=ro", uri=True) as ledger:
        tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in ledger.execute(f"SELECT * FROM {table}"):
                for cell in row:
                    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
                    assert_silent(text, f"{table}: {text[:200]}")
    for query in ("SELECT name, body FROM releases", "SELECT title, body FROM threads WHERE author = 'ceo'"):
        for row in rows(world.folder / "forge.db", query):
            assert_silent(" ".join(row), query)


def assert_nobody_read_too_much(infested):
    """A command sees the credentials of its own environment, a suite sees none, and nobody reads the conductor's."""
    seen = [json.loads(line) for line in (infested.place / "seen.jsonl").read_text().splitlines()]
    kinds = set()
    for what, names in seen:
        kinds.add(tuple(names))
        if what[0] == "suite":
            assert names == [], what
    assert kinds == {(), ("CANARY_STAGING",), ("CANARY_PRODUCTION",)}


@pytest.mark.parametrize("fault", ["", "production-unhealthy"])
def test_a_release_in_which_everything_echoes_the_credentials_tells_nobody(harbour, fault):
    assert git_of_the_sandbox  # the world is the real one
    infested = Infested(harbour(*([fault] if fault else []), watch_seconds=1.0))
    # The gate sees what the commits brought in, and says where it is and not what.
    code, out = infested.call("ship", "acme", "--dry-run", "--json")
    assert code == 20, out
    assert "secrets-found" in infested.heard or "secrets in what would be released" in infested.heard, out
    rehearsed = json.loads(out)
    assert "(commit message)" in json.dumps(rehearsed["problems"])
    # The base branch allows it: from here on the whole release goes its way, with all its voices.
    infested.allow(fingerprints_of(infested))
    code, out = infested.call("ship", "acme", "--json")
    assert code == 10, infested.heard[-2000:]
    code, _ = infested.call("approve", "--approver", "ceo@acme.test", "--key", str(infested.key))
    assert code == (30 if fault else 0), infested.heard[-2000:]
    for words in (
        ["status"], ["status", "--card"], ["status", "--notes"], ["status", "--json"], ["audit", "show"],
        ["audit", "show", "--json"], ["audit", "verify"], ["doctor"], ["state", "show"],
    ):  # fmt: skip
        infested.call(*words)
    assert_nothing_kept(infested)
    assert_nobody_read_too_much(infested)


def fingerprints_of(infested):
    """What the gate names, as a person copies it from the finding, until it names nothing more."""
    from pilothouse import config
    from pilothouse.app import Pilothouse
    from pilothouse.composition import toolbox

    app = Pilothouse(infested.world.project, environ=infested.environ)
    try:
        configuration = config.load(infested.world.project)
        tools = toolbox(app, configuration, "acme", "r-look", "2026-11-21T09:00:00Z", {})
        base = tools.observe("git.base", {}).facts
        facts = tools.observe("git.secrets", {"from": base["from_sha"], "to": base["to_sha"]}).facts
    finally:
        app.close()
    assert {row["rule"] for row in facts["findings"]} == {"held-value"}
    return [row["fingerprint"] for row in facts["findings"]]
