"""A bare remote whose staging is ahead of main by every kind of pull request, and the harbour's forge over it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse import settings
from pilothouse.harbour import provision
from pilothouse.harbour.forge.server import Forge, ForgeServer
from pilothouse.harbour.forge.store import Store
from pilothouse_tools.context import Context

if TYPE_CHECKING:
    from pilothouse.settings import Product

AT = "2026-11-20T10:00:00Z"


class SwiftClock:
    """Time as it is, and besides what was slept, which takes no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=sum(self.slept))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class ForgeWorld:
    """Where everything is; ``at`` maps a name of the story to its commit."""

    def __init__(self, folder: Path, product: Product) -> None:
        self.folder, self.origin, self.clone = folder, folder / "origin.git", folder / "clone"
        self.at: dict[str, str] = {}
        self._heads: list[str] = []
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
               for part, value in (("NAME", "Noor"), ("EMAIL", "noor@acme.test"))}  # fmt: skip
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), **who}
        self.git("init", "-q", "--bare", "-b", "main", str(self.origin), cwd=folder)
        self.git("clone", "-q", str(self.origin), str(self.clone), cwd=folder)
        self.store = Store(folder / "forge.db")
        self.sockets = Path(tempfile.mkdtemp(prefix="fw-"))
        self.server = ForgeServer(self.sockets / "gh.sock", Forge(folder, self.store, lambda *_: None))
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.environ = {**self.env, **provision.gh(folder / "gh", self.sockets / "gh.sock")}
        gh = Path(os.sys.executable).parent  # type: ignore[attr-defined]
        self.environ["PATH"] = f"{gh}:{self.environ['PATH']}"
        names = tuple(name for name in self.environ if name.startswith(("GH_", "XDG_")) and name != "GH_TOKEN")
        self.product = replace(
            product,
            forge=settings.Forge("github", "harbour/acme", ("GH_TOKEN",), names),
            promotion=settings.Promotion(),
            audit=settings.Audit(areas={"app": ("app/**",), "docs": ("docs", "*.md")}),
            tickets=settings.Tickets(),
        )

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.server.forge.close()
        self.store.close()

    def git(self, *arguments: str, cwd: Path | None = None, stdin: str | None = None, **environ: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.clone, env={**self.env, **environ}, capture_output=True, text=True,
            check=True, input=stdin,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, name: str, message: str, *parents: str, path: str = "", text: str = "x\n") -> str:
        """A commit whose tree is the first parent's and one file, made without a checkout."""
        index = {"GIT_INDEX_FILE": str(self.folder / "index")}
        self.git("read-tree", *([self.at.get(parents[0], parents[0])] if parents else ["--empty"]), **index)
        for other in parents[1:]:
            base = self.git("merge-base", *(self.at.get(p, p) for p in (parents[0], other)))
            self.git("read-tree", "-i", "-m", "--aggressive", base,
                     *(self.at.get(p, p) for p in (parents[0], other)), **index)  # fmt: skip
        if path:
            blob = self.git("hash-object", "-w", "--stdin", stdin=text)
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", **index)
        tree = self.git("write-tree", **index)
        flags = [word for parent in parents for word in ("-p", self.at.get(parent, parent))]
        self.at[name] = self.git("commit-tree", tree, *flags, "-m", message)
        return self.at[name]

    def publish(self, **branches: str) -> None:
        """Put branches of the remote to commits, and the pull requests' heads with them."""
        names = [f"{self.at[name]}:refs/heads/{branch.replace('_', '-')}" for branch, name in branches.items()]
        self.git("push", "-q", "-f", "origin", *names, *self._heads)

    def pull(self, number: int, **values: object) -> None:
        """A merged pull request of the forge, approved at its head by ada."""
        head = str(values["head_sha"])
        self._heads.append(f"{head}:refs/pull/{number}/head")
        common: dict[str, object] = {
            "number": number, "kind": "pull", "title": f"Change {number}", "body": "", "author": "noor",
            "state": "MERGED", "created": AT, "updated": AT, "closed": AT, "head": f"change-{number}",
            "base": "staging", "base_sha": self.at["live"], "merged": AT, "merged_by": "ada",
            "reviews": [review("ada", head)],
        }  # fmt: skip
        self.store.put("threads", **{**common, **values})

    def trouble(self, *troubles: dict[str, object]) -> None:
        """What happens to the next requests."""
        (self.folder / "troubles.json").write_text(json.dumps([{"times": 1, **one} for one in troubles]))

    def asked(self) -> list[dict[str, object]]:
        """The requests so far."""
        log = self.folder / "forge.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def context(self, clock: object = None, product: Product | None = None) -> Context:
        return Context(
            product or self.product, self.clone, self.environ, clock or SwiftClock(), {}, self.folder / "scratch",
            "r-2026-11-21-01", AT,
        )  # type: ignore[arg-type] # fmt: skip


def review(login: str, sha: str, state: str = "APPROVED") -> dict[str, str]:
    return {"login": login, "state": state, "sha": sha, "at": AT}


def until(true: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)
