"""Whether this machine and this project can ship: tools, versions, credentials, ledger, remote (INT-5)."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.errors import PilothouseError
from pilothouse.project import find_project
from pilothouse_tools import programs

if TYPE_CHECKING:
    from pilothouse.settings import Configuration, Product

OK, WARN, BAD = "ok", "warn", "bad"
TIMEOUT = 15.0  # seconds a tool may take to say its version, or a remote to answer


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``level`` is ok, warn or bad; ``told`` never holds a credential's value."""

    name: str
    level: str
    told: str
    hint: str = ""


def examine(project: Path | None, environ: Mapping[str, str] | None = None) -> tuple[Check, ...]:
    """Everything, in the order in which one would mend it.

    Args:
        project: as ``--project`` said it, or None: the nearest folder upwards; none at all is a warning only.
        environ: the conductor's environment.
    """
    env = os.environ if environ is None else environ
    checks = [_platform(), _python()]
    try:
        folder = find_project(project or Path.cwd())
    except PilothouseError as error:
        return (
            *checks,
            *_tools(env, gh=WARN),
            Check("project", WARN if project is None else BAD, error.message, error.hint),
        )
    return (*checks, *_tools(env, gh=BAD), *_project(folder, env))


def _platform() -> Check:
    name = f"{platform.system()} {platform.release()}"
    if sys.platform.startswith(("linux", "darwin")):
        return Check("platform", OK, name)
    return Check("platform", BAD, f"{name} is not supported", "use Linux or macOS; on Windows, work inside WSL2")


def _python() -> Check:
    told = f"{platform.python_version()}, sqlite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < (3, 35):
        return Check("python", BAD, told, "sqlite 3.35 or later is needed")
    return Check("python", OK, told)


def _tools(env: Mapping[str, str], *, gh: str) -> Iterator[Check]:
    """What is installed; ``gh`` says how bad its absence is (a project's forge needs it)."""
    yield _versioned("git", env)
    forge = _versioned("gh", env)
    yield replace(forge, level=gh) if forge.level == BAD else forge
    found = shutil.which("ssh-keygen", path=env.get("PATH"))
    hint = "" if found else "install OpenSSH's client; signatures on approvals need it"
    yield Check("ssh-keygen", OK if found else WARN, found or "not found", hint)


def _versioned(name: str, env: Mapping[str, str]) -> Check:
    path = shutil.which(name, path=env.get("PATH"))
    least, why = programs.LEAST[name]
    wanted = ".".join(map(str, least))
    if path is None:
        return Check(name, BAD, "not found on the PATH", f"install {name} {wanted} or later")
    said = _run([path, "--version"], env)
    version = programs.version_in(said or "")
    if not version:
        return Check(name, BAD, f"{path} does not say its version", f"install {name} {wanted} or later")
    told = f"{version} ({path})"
    if programs.too_old(version, least):
        return Check(name, BAD, told, f"{wanted} or later is needed: {why}")
    return Check(name, OK, told)


def _run(argv: list[str], env: Mapping[str, str], cwd: Path | None = None) -> str | None:
    """What a program says, or None where it fails; it never asks anything."""
    # No GIT_*: such a variable can name programs that git would run.
    kept = {name: value for name, value in env.items() if not name.startswith("GIT_")}
    quiet = {**kept, "GIT_TERMINAL_PROMPT": "0", "GH_PROMPT_DISABLED": "1"}
    try:
        done = subprocess.run(
            argv,
            env=quiet,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None


def _project(folder: Path, env: Mapping[str, str]) -> Iterator[Check]:
    from pilothouse import config

    try:
        configuration = config.load(folder)
    except PilothouseError as error:
        yield Check("project", BAD, error.message, error.hint)
        return
    yield Check("project", OK, f"{folder}: {', '.join(configuration.products)}")
    yield from _playbook(folder, configuration)
    yield _approvals(configuration, env)
    for product in configuration.products.values():
        yield from _product(folder, product, env)
        yield from _weak(product, env)
    writable = _writable(folder)
    yield writable
    yield _ledger(folder)
    if writable.level == OK:  # comparing opens the ledger for writing, and reading the base branch keeps what it reads
        yield _state(folder)
        yield from _models(folder, configuration, env)


def _models(folder: Path, configuration: Configuration, env: Mapping[str, str]) -> Iterator[Check]:
    if configuration.models is not None:
        from pilothouse.doctor_models import examine_models

        yield from examine_models(folder, configuration, env)


def _playbook(folder: Path, configuration: Configuration) -> Iterator[Check]:
    from pilothouse import inventory

    try:
        inventory.workflow(folder, configuration.workflow)
    except PilothouseError as error:
        yield Check("workflow", BAD, error.message, error.hint)
        return
    yield Check("workflow", OK, f"{configuration.workflow} is sound")


def _approvals(configuration: Configuration, env: Mapping[str, str]) -> Check:
    """Whether a program that runs as an approver's account could approve in their name (APR-6)."""
    if configuration.policy.signature != "require":
        told = "a typed word approves: it proves an account, and no person (policy.approval.signature: allow)"
        if configuration.ledger == "git":
            told += "; and whoever may push refs/pilothouse/* can write an approval in anybody's name (ledger: git)"
        return Check(
            "approvals",
            WARN,
            told,
            "where agents, jobs or other people run as an approver's account, set policy.approval.signature: require\n"
            "on the base branch, with keys that this account cannot use",
        )
    near = _keys_within_reach(Path(env.get("HOME", "/nonexistent")) / ".ssh")
    reachable = [person.id for person in configuration.approvers if " ".join(person.key.split()[:2]) in near]
    if reachable:
        told = f"signatures only, and this account can sign for {', '.join(reachable)}"
        return Check("approvals", WARN, told, "keep the private key where no program of this account reaches it")
    return Check("approvals", OK, "signatures only")


def _keys_within_reach(folder: Path) -> set[str]:
    """The public keys whose private halves lie beside them; a token's key (sk-) wants a touch besides."""
    found = set()
    try:
        for file in sorted(folder.glob("*.pub")):
            if os.access(file.with_suffix(""), os.R_OK):
                found.add(" ".join(file.read_text(encoding="utf-8", errors="replace").split()[:2]))
    except OSError:
        return found
    return {key for key in found if key and not key.startswith("sk-")}


def _product(folder: Path, product: Product, env: Mapping[str, str]) -> Iterator[Check]:
    for environment in product.environments.values():
        missing = [name for name in environment.credentials if not env.get(name)]
        name = f"{environment.name}"
        if missing:
            yield Check(name, BAD, f"missing: {', '.join(missing)}", "set them in the conductor's environment")
        else:
            yield Check(name, OK, f"credentials present: {', '.join(environment.credentials) or 'none needed'}")
    forge = product.forge.credentials if product.forge else ()
    lacking = [name for name in forge if not env.get(name)]
    if lacking:
        yield Check("forge", BAD, f"missing: {', '.join(lacking)}", "set them in the conductor's environment")
    elif product.forge:
        yield Check(
            "forge", OK, f"{product.forge.repository}: credentials present: {', '.join(forge) or 'none needed'}"
        )
    yield from _services(product, env)
    heads = _heads(folder, product, env)
    if heads is None:
        yield Check("remote", BAD, f"{product.remote} does not answer", f"try: git ls-remote {product.remote}")
    elif not heads.strip():
        yield Check("remote", BAD, f"{product.remote} has no branch {product.base}", "push it, or name another base")
    else:
        yield Check("remote", OK, f"{product.remote} has {product.base} at {heads[:7]}")


def _services(product: Product, env: Mapping[str, str]) -> Iterator[Check]:
    """Who is told: a service that cannot be reached stops no run, so its trouble is a warning."""
    services = [notice for notice in product.notify if notice.url_variable]
    missing = [notice.url_variable for notice in services if not env.get(notice.url_variable)]
    if missing:
        yield Check("notify", WARN, f"missing: {', '.join(missing)}", "set them in the conductor's environment")
    if any(notice.channel == "apprise" for notice in services) and find_spec("apprise") is None:
        yield Check("notify", WARN, "apprise is not installed", "install it: pip install 'pilothouse[notify]'")


def _heads(folder: Path, product: Product, env: Mapping[str, str]) -> str | None:
    """What the remote says of the base branch, asked as every tool asks: nothing that the clone configures runs."""
    import tempfile

    from pilothouse_tools.repository import Repository
    from pilothouse_tools.scratch import UPSTREAM, Signature

    passed = {name: env[name] for name in ("PATH", "LANG", "SSH_AUTH_SOCK") if name in env}
    token = env.get(product.remote_token, "") if product.remote_token else ""
    with tempfile.TemporaryDirectory(prefix="pilothouse-doctor-") as scratch:
        nobody = Signature("nobody", "nobody@localhost", "2000-01-01T00:00:00Z")
        repo = Repository(folder, product.remote, Path(scratch), {**passed, "HOME": scratch}, nobody, token)
        ref = f"refs/heads/{product.base}"
        try:
            done = repo.run("ls-remote", "--end-of-options", UPSTREAM, ref, remote=True, timeout=TIMEOUT)
        except PilothouseError:
            return None
    return done.stdout.decode("utf-8", "replace") if done.code == 0 else None


def _weak(product: Product, env: Mapping[str, str]) -> Iterator[Check]:
    """Values that cannot be told from ordinary words: redacting them blindly would garble every text."""
    from pilothouse.held import weakness
    from pilothouse.redaction import credential_names

    weak = {name: why for name in credential_names(product) if (why := weakness(env.get(name, "")))}
    if weak:
        told = "not redacted: " + ", ".join(f"{name} ({why})" for name, why in weak.items())
        yield Check("secrets", WARN, told, "choose longer values that are no plain words or numbers")


def _ledger(folder: Path) -> Check:
    path = folder / ".pilothouse" / "ledger.db"
    if not path.exists():
        return Check("ledger", OK, "none yet")
    from pilothouse.ledger.chain import verify
    from pilothouse.ledger.sqlite import SqliteJournal

    try:
        journal = SqliteJournal(path, read_only=True)
        try:
            found = {name: verify(journal.entries(name), name) for name in journal.chains()}
        finally:
            journal.close()
    except PilothouseError as error:
        return Check("ledger", BAD, error.message, error.hint)
    bad = [name for name, item in found.items() if not item.ok]
    if bad:
        return Check("ledger", BAD, f"does not verify: {', '.join(bad)}", "look: pilothouse audit verify")
    return Check("ledger", OK, f"{sum(item.entries for item in found.values())} entries, every hash fits")


def _writable(folder: Path) -> Check:
    """Whether the ledger and state.yml can be written here; asked of the system, not tried."""
    places = [path for path in (folder, folder / ".pilothouse") if path.exists()]
    stuck = [str(path) for path in places if not os.access(path, os.W_OK | os.X_OK)]
    if stuck:
        hint = "make it writable for this user: the ledger and state.yml are written there"
        return Check("folder", BAD, f"{', '.join(stuck)} cannot be written", hint)
    return Check("folder", OK, f"{folder} is writable")


def _state(folder: Path) -> Check:
    from pilothouse.app import Pilothouse
    from pilothouse.stateview import differences

    app = Pilothouse(folder)
    try:
        found = differences(app)
    except PilothouseError as error:
        return Check("state.yml", BAD, error.message, error.hint)
    finally:
        app.close()
    if found.differences:
        return Check("state.yml", BAD, "was edited where Pilothouse renders it", "look: pilothouse state check")
    return Check("state.yml", OK, found.why or "is what the ledger says")
