"""One release, carried by jobs on empty folders that share nothing but the remote: ``ledger: git`` (FACE-5)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from crash.conductor import until
from pilothouse.app import Pilothouse, os_user
from release.runner import run_action
from release.test_restored import Somebody
from shipping import refs


class Job:
    """A fresh, shallow clone on an empty disk, as actions/checkout makes it, and the real command in it."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder
        url = f"file://{world.origin}"
        subprocess.run(["git", "clone", "-q", "--depth", "1", url, str(folder)], check=True)

    def start(self, *arguments):
        argv = [sys.executable, "-P", "-m", "pilothouse.cli.main", "--project", str(self.folder), "--json", *arguments]
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder,
            env={**os.environ, **self.world.environment}, start_new_session=True,
        )  # fmt: skip

    def act(self, **inputs):
        """What the composite action of this repository does here."""
        return run_action(self.folder, {**os.environ, **self.world.environment}, **inputs)

    def run(self, *arguments, ends):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == ends, (process.returncode, out, err)
        return json.loads(out), err

    def vanish(self):
        shutil.rmtree(self.folder)

    def by_hand(self):
        """The facade, as a person's terminal on this machine has it."""
        return Pilothouse(self.folder, environ={**os.environ, **self.world.environment})


@pytest.fixture
def world(harbour, tmp_path):
    """The sandbox, whose ledger stands on the remote."""
    world = harbour(watch_seconds=1.0)
    text = (world.project / "pilothouse.yml").read_text()
    Somebody(world, tmp_path / "dev").push(
        "chore: keep the ledger on the remote (#260)", {"pilothouse.yml": f"{text}ledger: git\n"}
    )
    return world


def deployed(world, environment):
    lines = (world.folder / environment / "deployments.jsonl").read_text().splitlines()
    return [json.loads(line)["version"] for line in lines]


def test_two_jobs_and_a_person_on_empty_folders_carry_one_release(world, tmp_path):
    before = deployed(world, "production")
    first = Job(world, tmp_path / "job-1")
    ran = first.act(command="ship", product="acme")
    assert ran.code == 0, ran.log
    run = ran.outputs["run"]
    assert ran.outputs == {
        "run": run, "state": "waiting", "exit-code": "10", "next-action": f"pilothouse approve {run}", "reason-code": "",
    }  # fmt: skip
    assert "<pre>" in ran.summary
    assert run in ran.summary
    assert deployed(world, "production") == before
    first.vanish()

    laptop = Job(world, tmp_path / "laptop")
    told, _ = laptop.run("status", run, ends=0)
    assert (told["runs"][0]["state"], told["runs"][0]["checkpoint"]) == ("waiting", "go")
    assert laptop.run("ship", "acme", ends=20)[0]["reason_code"] == "product-busy"
    app = laptop.by_hand()
    app.approve(run, os_user("terminal"), lambda _card, word: word)
    app.close()
    laptop.vanish()

    second = Job(world, tmp_path / "job-2")
    ran = second.act(command="resume", run=run)
    assert (ran.code, ran.outputs["state"], ran.outputs["exit-code"]) == (0, "done", "0"), ran.log
    for secret in (world.environment["GH_TOKEN"], world.environment["ACME_PRODUCTION_DB"]):
        assert secret not in ran.log + ran.summary + str(ran.outputs)
    assert deployed(world, "production") == [*before, "1.4.0"]
    assert "refs/tags/v1.4.0" in refs(world)

    auditor = Job(world, tmp_path / "auditor")
    assert auditor.run("audit", "verify", ends=0)[0]["ok"]
    world.origin.rename(world.folder / "away.git")
    try:
        told, err = auditor.run("status", run, ends=0)
        assert told["runs"][0]["state"] == "done"
        assert "does not answer" in err
        assert "what is told here is what this disk knows" in err
    finally:
        (world.folder / "away.git").rename(world.origin)


@pytest.mark.skipif(os.environ.get("PILOTHOUSE_CRASH") != "exhaustive", reason="make crash")
def test_a_job_that_is_killed_amid_a_deployment_is_finished_by_the_next_one_elsewhere(world, tmp_path):
    first = Job(world, tmp_path / "job-1")
    run = first.run("ship", "acme", ends=10)[0]["runs"][0]["id"]
    app = first.by_hand()
    app.approve(run, os_user("terminal"), lambda _card, word: word)
    app.close()
    gate = world.origin / "hooks" / "pre-receive"
    real = gate.rename(gate.with_name("pre-receive.real"))
    held = tmp_path / "held"
    # The remote has the objects of the deployment's push when the job dies, and lets the ledger's pushes through.
    gate.write_text(
        f'#!/bin/sh\nupdates=$(cat)\ncase "$updates" in *refs/heads/deploy/production*)\n'
        f"[ -e {held}.off ] || {{ : > {held}; while [ ! -e {held}.off ]; do sleep 0.05; done; exit 1; }};; esac\n"
        f'printf "%s\\n" "$updates" | exec {real}\n'
    )
    gate.chmod(0o755)
    process = first.start("resume", run)
    try:
        until(lambda: held.exists() or process.poll() is not None, "the deployment's push")
        assert process.poll() is None, process.communicate()
        rival = Job(world, tmp_path / "rival")
        told, _ = rival.run("resume", ends=20)
        assert told["reason_code"] == "product-busy"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        (tmp_path / "held.off").touch()
    first.vanish()
    second = Job(world, tmp_path / "job-2")
    told, _ = second.run("resume", run, ends=0)
    assert told["runs"][0]["state"] == "done"
    assert deployed(world, "production").count("1.4.0") == 1
    assert rival.run("status", ends=0)[0]["runs"][0]["state"] == "done"
