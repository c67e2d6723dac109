"""The journal on the remote: machines that share nothing else carry one history, and nothing of it is lost or doubled."""

from __future__ import annotations

import json
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from ledger.quay import Quay, git
from pilothouse.errors import ChainMoved, LeaseLost, LedgerCorrupt, LedgerUnreachable, Unreachable
from pilothouse.events import Aborted, Done, Intended, Notified, Resumed, Skipped
from pilothouse.ledger.chain import verify
from pilothouse.ports import EMPTY
from pilothouse_tools.carrier import GitCarrier
from pilothouse_tools.scratch import Scratch

START = datetime(2026, 11, 21, 9, 41, tzinfo=UTC)
REF = "refs/pilothouse/acme"


def at(seconds=0):
    return (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def skipped(number):
    return Skipped(step=f"s-{number}", why="nothing to do – übersprungen")


def intended(step="deploy"):
    return Intended(step, "deploy.apply", {}, "key", "p" * 64, None, "main", 1)


def done(step="deploy"):
    return Done(step, "e-001", {}, {}, found=False, summary="")


@pytest.fixture
def quay(tmp_path):
    return Quay(tmp_path)


def on_remote(quay):
    """What a machine that has never been here finds."""
    return quay.machine("an-outsider").read("acme")


def set_aside(quay, machine):
    return [
        json.loads(line)["kind"]
        for file in sorted((quay.disk(machine) / "set-aside").glob("*.jsonl"))
        for line in file.read_bytes().splitlines()
    ]


# --- what is on the remote, and when --------------------------------------------------------------------------------


def test_what_a_person_does_is_on_the_remote_when_they_are_told_so(quay):
    written = quay.machine("one").append("acme", "r-1", [skipped(1), Aborted("ana", "terminal", "no")], at())
    assert on_remote(quay) == written


def test_what_a_conductor_writes_is_there_after_the_sync_and_before_an_act(quay):
    one = quay.machine("one")
    lease = one.acquire("acme", "one", at(), 30)
    one.append("acme", "r-1", [skipped(1)], at(1), lease=lease)
    assert on_remote(quay) == ()
    one.append("acme", "r-1", [intended()], at(2), lease=lease)
    one.sync()
    assert [event.kind for event in on_remote(quay)] == ["Skipped", "Intended"]


def test_a_killed_job_goes_on_from_an_empty_disk_on_another_machine(quay):
    one = quay.machine("one")
    lease = one.acquire("acme", "one", at(), 30)
    written = one.append("acme", "r-1", [skipped(1), intended()], at(1), lease=lease)
    one.sync()
    two = quay.machine("two")
    assert two.read("acme") == written
    with pytest.raises(LeaseLost, match="held by one until 2026-11-21T09:41:30"):
        two.acquire("acme", "two", at(30), 30)
    lease = two.acquire("acme", "two", at(31), 30)
    two.append("acme", "r-1", [done()], at(32), lease=lease)
    two.sync()
    assert [event.seq for event in on_remote(quay)] == [1, 2, 3]


def test_a_job_killed_between_append_and_push_pushes_at_its_next_start(quay):
    one = quay.machine("one")
    lease = one.acquire("acme", "one", at(), 30)
    written = one.append("acme", "r-1", [skipped(1)], at(1), lease=lease)
    again = quay.machine("one")  # the same disk, another process
    assert again.read("acme") == written
    again.acquire("acme", "one again", at(31), 30)
    assert on_remote(quay) == written


def test_a_chain_verifies_byte_for_byte_on_every_machine(quay):
    one = quay.machine("one")
    for number in range(3):
        one.append("acme", "r-1", [skipped(number)] * (number + 1), at(number))
    one.append("_global", "r-1", [skipped(9)], at(9))
    two = quay.machine("two")
    assert two.chains() == ("_global", "acme")
    assert two.entries("acme") == one.entries("acme")
    assert verify(two.entries("acme"), "acme", one.head("acme").hash).ok


def test_each_push_adds_one_file_and_changes_none(quay):
    one = quay.machine("one")
    before = {}
    for number in range(4):
        one.append("acme", "r-1", [skipped(number), skipped(number)], at(number))
        files = dict(
            reversed(line.split("\t")) for line in git(quay.remote, "ls-tree", "-r", REF).splitlines()
            if line.endswith(".jsonl")
        )  # fmt: skip
        assert len(files) == number + 1
        assert before.items() <= files.items()
        before = files
    assert sorted(before) == [f"00000/{number:08d}.jsonl" for number in (1, 3, 5, 7)]
    assert git(quay.remote, "rev-list", "--count", "--merges", REF) == "0"
    assert git(quay.remote, "rev-list", "--count", REF) == "4"


def test_the_clone_is_not_touched(quay):
    clone = quay.disk("one") / "clone"
    before = sorted((path, path.stat().st_mtime_ns) for path in clone.rglob("*"))
    quay.machine("one").append("acme", "r-1", [skipped(1)], at())
    quay.machine("one").read("acme")
    assert sorted((path, path.stat().st_mtime_ns) for path in clone.rglob("*")) == before


def test_a_long_history_comes_whole_from_several_folders(quay):
    one = quay.machine("one")
    for first in range(0, 2400, 800):
        one.append("acme", "r-1", [skipped(first + number) for number in range(800)], at(first))
    two = quay.machine("two")
    assert [event.seq for event in two.read("acme")] == list(range(1, 2401))
    one.append("acme", "r-1", [skipped(0)], at(9000))
    assert two.head("acme").seq == 2401
    folders = {
        line.split("/")[0] for line in git(quay.remote, "ls-tree", "-r", "--name-only", REF).splitlines() if "/" in line
    }
    assert folders == {"00000", "00001", "00002"}


# --- two at once ----------------------------------------------------------------------------------------------------


def test_of_two_conductors_on_two_machines_one_gets_the_lease_and_the_other_is_told_who(quay):
    one, two = quay.machine("one"), quay.machine("two")
    one.chains(), two.chains()  # both have looked, and both find the product free
    lease = one.acquire("acme", "host-a:7", at(), 30)
    with pytest.raises(LeaseLost, match="host-a:7"):
        two.acquire("acme", "host-b:9", at(1), 30)
    assert two.holder("acme").holder == "host-a:7"
    one.release(lease)
    two.acquire("acme", "host-b:9", at(2), 30)


def test_two_that_take_the_lease_at_the_very_same_moment_do_not_both_get_it(quay):
    got, machines = [], [quay.machine(name) for name in ("one", "two", "three")]
    quay.machine("zero").append("acme", "r-1", [skipped(1)], at())
    start = threading.Barrier(3)

    def take(number):
        machines[number].chains()
        start.wait()
        try:
            got.append(machines[number].acquire("acme", f"holder-{number}", at(1), 30))
        except LeaseLost as lost:
            got.append(lost)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([item for item in got if isinstance(item, LeaseLost)]) == 2


def test_who_was_taken_over_pushes_nothing_more_and_starts_again_as_if_it_had_never_written(quay):
    one, two = quay.machine("one"), quay.machine("two")
    stale = one.acquire("acme", "one", at(), 30)
    one.append("acme", "r-1", [skipped(1), intended()], at(1), lease=stale)  # and is stopped before its sync
    lease = two.acquire("acme", "two", at(31), 30)
    taken = two.append("acme", "r-1", [skipped(2)], at(32), lease=lease)
    two.sync()
    with pytest.raises(LeaseLost, match="held by two"):
        one.sync()
    with pytest.raises(LeaseLost):
        one.renew(stale, at(33), 30)
    assert on_remote(quay) == taken
    two.release(lease)
    again = quay.machine("one")
    lease = again.acquire("acme", "one again", at(34), 30)
    assert again.read("acme") == taken
    assert set_aside(quay, "one") == ["Skipped", "Intended"]
    assert "2 entries made here were set aside" in again.note
    again.append("acme", "r-1", [skipped(3)], at(35), lease=lease)
    again.sync()
    assert [event.seq for event in on_remote(quay)] == [1, 2]


def test_who_lost_the_lease_in_the_background_writes_and_pushes_nothing_though_its_disk_would_let_it(quay):
    one, two = quay.machine("one"), quay.machine("two")
    stale = one.acquire("acme", "one", at(), 30)
    one.append("acme", "r-1", [skipped(1)], at(1), lease=stale)
    two.acquire("acme", "two", at(31), 30)  # and has written nothing yet: every swap would still succeed
    with pytest.raises(LeaseLost):
        one.renew(stale, at(32), 30)  # the heartbeat's thread swallows it
    for attempt in (lambda: one.append("acme", "r-1", [intended()], at(33), lease=stale), one.sync):
        with pytest.raises(LeaseLost, match="held by two"):
            attempt()
    one.release(stale)
    person = quay.machine("one").append("acme", "r-1", [Aborted("ana", "terminal", "stop")], at(34))
    assert on_remote(quay) == person
    assert set_aside(quay, "one") == ["Skipped"]


def test_the_lease_on_the_remote_is_prolonged_while_its_holder_lives(quay):
    one, two = quay.machine("one"), quay.machine("two")
    lease = one.acquire("acme", "one", at(), 30)
    for second in (10, 20, 30, 40):
        lease = one.renew(lease, at(second), 30)
    with pytest.raises(LeaseLost):
        two.acquire("acme", "two", at(45), 30)
    assert int(git(quay.remote, "rev-list", "--count", REF)) <= 4, "not every beat is a push"


def test_a_lease_that_cannot_be_prolonged_on_the_remote_ends_when_it_ran_out_there(quay):
    one = quay.machine("one")
    lease = one.acquire("acme", "one", at(), 30)
    quay.remote.rename(quay.folder / "away")
    lease = one.renew(lease, at(20), 30)  # there is time left
    with pytest.raises(LeaseLost):
        one.renew(lease, at(31), 30)


# --- a person is first ------------------------------------------------------------------------------------------------


def test_a_person_elsewhere_is_heard_and_what_was_decided_before_is_decided_again(quay):
    one, two = quay.machine("one"), quay.machine("two")
    lease = one.acquire("acme", "one", at(), 30)
    one.append("acme", "r-1", [skipped(1), intended()], at(1), lease=lease)
    told = two.append("acme", "r-1", [Aborted("ana", "terminal", "stop")], at(2))
    with pytest.raises(ChainMoved):
        one.sync()
    assert one.read("acme") == told
    assert set_aside(quay, "one") == ["Skipped", "Intended"]
    one.append("acme", "r-1", [skipped(2)], at(3), expect=one.head("acme"), lease=lease)  # it is still the conductor
    one.sync()
    assert [event.kind for event in on_remote(quay)] == ["Aborted", "Skipped"]


def test_a_person_who_decided_on_an_older_state_is_asked_to_look_again(quay):
    one, two = quay.machine("one"), quay.machine("two")
    seen = two.head("acme")
    one.append("acme", "r-1", [Aborted("ana", "terminal", "stop")], at())
    with pytest.raises(ChainMoved):
        two.append("acme", "r-1", [Resumed("ben", "terminal")], at(1), expect=seen)
    assert [event.kind for event in two.read("acme")] == ["Aborted"]
    assert len(on_remote(quay)) == 1


def test_what_expects_nothing_is_written_behind_whatever_came_first(quay):
    one, two = quay.machine("one"), quay.machine("two")
    two.head("acme")
    one.append("acme", "r-1", [skipped(1)], at())
    two.append("acme", "r-1", [Notified("waiting", "file", True, "told")], at(1))
    assert [event.kind for event in on_remote(quay)] == ["Skipped", "Notified"]


def test_many_who_write_at_once_make_one_sound_chain(quay):
    machines = [quay.machine(name) for name in ("one", "two", "three")]
    failed = []

    def write(number):
        for count in range(3):
            try:
                machines[number].append("acme", f"r-{number}", [skipped(count)], at(count))
            except ChainMoved as moved:  # after so many tries
                failed.append(moved)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = on_remote(quay)
    assert len(events) == 9 - len(failed)
    for number in range(3):
        mine = [event.fact.step for event in events if event.run == f"r-{number}"]
        assert mine == sorted(mine)


# --- a remote that is not there ---------------------------------------------------------------------------------------


def test_without_the_remote_nothing_is_recorded_and_readers_are_told_what_they_see(quay):
    one = quay.machine("one")
    written = one.append("acme", "r-1", [skipped(1)], at())
    quay.remote.rename(quay.folder / "away")
    with pytest.raises(LedgerUnreachable):
        one.append("acme", "r-1", [Aborted("ana", "terminal", "stop")], at(1))
    assert one.read("acme") == written
    assert "does not answer" in one.note
    assert one.note.endswith("what is told here is what this disk knows")
    for attempt in (lambda: quay.machine("two").acquire("acme", "two", at(2), 30), lambda: quay.machine("two").sync()):
        with pytest.raises(LedgerUnreachable) as caught:
            attempt()
        assert caught.value.reason_code == "ledger-unreachable"
    (quay.folder / "away").rename(quay.remote)
    assert on_remote(quay) == written
    one.append("acme", "r-1", [Aborted("ana", "terminal", "stop")], at(3))
    assert one.note == ""


class Lossy(Scratch):
    """A connection that dies with the answer to a push: before it reached the remote, or after."""

    lands = True

    def run(self, *arguments, **options):
        if arguments[0] == "push" and self.lands is not None:
            lands, self.lands = self.lands, None
            if lands:
                super().run(*arguments, **options)
            raise Unreachable("remote-unreachable", "the connection died")
        return super().run(*arguments, **options)


@pytest.mark.parametrize("lands", [True, False])
def test_a_push_whose_answer_was_lost_is_judged_by_what_the_remote_holds(quay, lands, monkeypatch):
    monkeypatch.setattr("pilothouse_tools.carrier._SETTLING", 0.3)
    monkeypatch.setattr("ledger.quay.Scratch", Lossy)
    monkeypatch.setattr(Lossy, "lands", lands)
    one = quay.machine("one")
    monkeypatch.setattr("ledger.quay.Scratch", Scratch)
    if lands:
        one.append("acme", "r-1", [skipped(1)], at())
    else:
        with pytest.raises(LedgerUnreachable):
            one.append("acme", "r-1", [skipped(1)], at())
    assert len(on_remote(quay)) == len(one.read("acme")) == int(lands)


def test_a_remote_that_refuses_the_ref_is_named(quay):
    hook = quay.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no such refs here >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Exception, match="refuses to take refs/pilothouse/acme") as caught:
        quay.machine("one").append("acme", "r-1", [skipped(1)], at())
    assert caught.value.reason_code == "ledger-push-refused"
    assert quay.machine("one").head("acme") == EMPTY


# --- a remote that was tampered with ----------------------------------------------------------------------------------


def forked(journal):
    with pytest.raises(LedgerCorrupt) as caught:
        journal.acquire("acme", "x", at(100), 30)
    return caught.value.reason_code


def test_a_ref_that_was_rewritten_taken_back_or_removed_halts_who_knew_it(quay):
    one = quay.machine("one")
    for number in range(3):
        one.append("acme", "r-1", [skipped(number)], at(number))
    mark = git(quay.remote, "rev-parse", REF)
    for move in (["update-ref", REF, f"{mark}~1"], ["update-ref", "-d", REF]):
        git(quay.remote, *move)
        known = quay.machine("one")
        before = known._local.entries("acme")
        assert forked(known) == "ledger-forked"
        assert known._local.entries("acme") == before
    git(quay.remote, "update-ref", REF, mark)
    quay.machine("one").acquire("acme", "x", at(100), 30)


def rewritten(quay, change):
    """The remote's chain with its rows changed, as somebody with push access could."""
    mark = git(quay.remote, "rev-parse", REF)
    names = git(quay.remote, "ls-tree", "-r", "--name-only", REF).splitlines()
    files = {name: git(quay.remote, "cat-file", "blob", f"{REF}:{name}") for name in names}
    stream = f"commit {REF}\ncommitter X <x@x> 0 +0000\ndata 0\nfrom {mark}\n"
    for name, text in change(files).items():
        content = text if name in {"head.json", "lease.json"} else text + "\n"
        stream += f"M 100644 inline {name}\ndata {len(content.encode())}\n{content}\n"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=quay.remote, input=stream.encode(), check=True)


def edited(files):
    return {name: text.replace("nothing to do", "something else") for name, text in files.items() if "jsonl" in name}


def shortened(files):
    return {"head.json": '{"hash":"%s","seq":1}' % ("1" * 64)}


def nonsense(files):
    return {"head.json": "[1]"}


def renamed(files):
    return {"00000/evil.jsonl": "{}", "head.json": files["head.json"]}


@pytest.mark.parametrize("change", [edited, shortened, nonsense, renamed])
def test_rows_that_do_not_hold_together_are_never_taken(quay, change):
    one = quay.machine("one")
    one.append("acme", "r-1", [skipped(1), skipped(2)], at())
    rewritten(quay, change)
    fresh = quay.machine("two")
    with pytest.raises(LedgerCorrupt):
        fresh.acquire("acme", "x", at(100), 30)
    assert fresh._local.entries("acme") == []


def test_histories_with_acts_that_the_other_has_not_fork_and_nothing_is_changed(quay):
    one = quay.machine("one")
    one._local.append("acme", "r-1", [intended(), done()], at())  # a ledger that was local until now
    quay.machine("two").append("acme", "r-9", [skipped(1)], at())
    assert forked(one) == "ledger-forked"
    with pytest.raises(LedgerCorrupt):
        one.read("acme")
    assert len(one._local.entries("acme")) == 2
    assert len(on_remote(quay)) == 1


def test_a_ledger_that_was_local_until_now_goes_up_whole(quay):
    one = quay.machine("one")
    written = one._local.append("acme", "r-1", [intended(), done()], at())
    lease = one.acquire("acme", "one", at(1), 30)
    one.release(lease)
    assert on_remote(quay) == written


def test_the_format_is_the_carriers_own_and_can_be_read_with_git_alone(quay):
    one = quay.machine("one")
    lease = one.acquire("acme", "host:7", at(), 30)
    written = one.append("acme", "r-1", [skipped(1), skipped(2)], at(1), lease=lease)
    one.sync()
    assert json.loads(git(quay.remote, "cat-file", "blob", f"{REF}:head.json")) == {"seq": 2, "hash": written[-1].hash}
    assert json.loads(git(quay.remote, "cat-file", "blob", f"{REF}:lease.json"))["holder"] == "host:7"
    lines = git(quay.remote, "cat-file", "blob", f"{REF}:00000/00000001.jsonl").splitlines()
    assert [line.encode() for line in lines] == [row[2] for row in one.entries("acme")]
    assert f"Pilothouse-Head: 2 {written[-1].hash}" in git(quay.remote, "log", "-1", "--format=%B", REF)
    assert isinstance(quay.carrier("one"), GitCarrier)
