"""The guarded runner, against real processes: what it starts, it bounds and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pilothouse.errors import ToolFailed
from pilothouse_tools.child import Finished, run

PATH = os.environ["PATH"]
# A grandchild that ignores what can be ignored, and says who it is before it sits there.
STUBBORN = """
import os, signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if sys.argv[2] == "parent":
    subprocess.Popen([sys.executable, "-c", open(sys.argv[3]).read(), sys.argv[1], "child", sys.argv[3]])
else:
    with open(sys.argv[1] + ".part", "w") as file:
        file.write(f"{os.getpid()} {os.getppid()}")
    os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""


def python(code: str, *arguments: str, folder: Path, timeout: float = 20, **options: object) -> Finished:
    return run([sys.executable, "-c", code, *arguments], cwd=folder, env={"PATH": PATH}, timeout=timeout, **options)  # type: ignore[arg-type]


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def gone(pid: int) -> bool:
    """Dead, or dead and only not reaped yet by whoever inherited it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() in ("", "Z") or state.startswith("Z")


def test_a_command_reports_code_and_both_streams(tmp_path: Path) -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path, env={"PATH": PATH}, timeout=10)
    assert (done.code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert not done.truncated
    assert not done.timed_out
    assert done.argv0.startswith("/")


def test_the_environment_is_exactly_the_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "must-not-travel")
    done = run(["env"], cwd=tmp_path, env={"PATH": PATH, "ONLY": "this"}, timeout=10)
    assert set(done.stdout.decode().splitlines()) == {f"PATH={PATH}", "ONLY=this"}


def test_arguments_reach_the_program_unread_by_any_shell(tmp_path: Path) -> None:
    done = run(["printf", "%s|", "$HOME", "`id`", "a b", "*", "; exit 1"], cwd=tmp_path, env={"PATH": PATH}, timeout=10)
    assert done.stdout == b"$HOME|`id`|a b|*|; exit 1|"


def test_the_working_directory_is_the_given(tmp_path: Path) -> None:
    assert run(["pwd"], cwd=tmp_path, env={"PATH": PATH}, timeout=10).stdout.decode().strip() == str(tmp_path.resolve())


def test_standard_input_arrives_whole_and_is_empty_by_default(tmp_path: Path) -> None:
    feed = os.urandom(3_000_000)
    done = run(["cat"], cwd=tmp_path, env={"PATH": PATH}, timeout=20, stdin=feed, output_cap=4_000_000)
    assert done.stdout == feed
    assert run(["cat"], cwd=tmp_path, env={"PATH": PATH}, timeout=20).stdout == b""


def test_a_program_that_does_not_read_its_input_is_no_error(tmp_path: Path) -> None:
    assert run(["true"], cwd=tmp_path, env={"PATH": PATH}, timeout=20, stdin=b"x" * 3_000_000).code == 0


def test_much_output_on_both_streams_neither_blocks_nor_grows(tmp_path: Path) -> None:
    code = "import sys\nfor _ in range(400): sys.stdout.write('o' * 50_000); sys.stderr.write('e' * 50_000)"
    done = python(code, folder=tmp_path, output_cap=10_000)
    assert done.code == 0
    assert done.truncated
    assert b"[19990000 bytes left out]" in done.stdout
    assert len(done.stdout) < 10_100
    assert len(done.stderr) < 10_100


def test_a_capped_stream_keeps_its_head_and_its_tail(tmp_path: Path) -> None:
    done = python("print('\\n'.join(str(n) for n in range(200_000)))", folder=tmp_path, output_cap=100)
    assert done.stdout.startswith(b"0\n1\n2\n")
    assert done.stdout.endswith(b"\n199998\n199999\n")


def test_output_of_exactly_the_cap_is_whole(tmp_path: Path) -> None:
    done = python("print(end='x' * 1001)", folder=tmp_path, output_cap=1001)
    assert done.stdout == b"x" * 1001
    assert not done.truncated


def test_a_time_out_kills_the_whole_group(tmp_path: Path) -> None:
    code, mark = tmp_path / "code.py", tmp_path / "pids"
    code.write_text(STUBBORN)
    begun = time.monotonic()
    done = python(STUBBORN, str(mark), "parent", str(code), folder=tmp_path, timeout=2)
    assert done.timed_out
    assert done.code == -signal.SIGKILL
    assert time.monotonic() - begun < 10
    assert all(until(lambda pid=pid: gone(int(pid))) for pid in mark.read_text().split())  # type: ignore[misc]


def test_what_a_finished_child_leaves_running_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = run(["sh", "-c", "sleep 600 & echo $!"], cwd=tmp_path, env={"PATH": PATH}, timeout=60)
    assert time.monotonic() - begun < 10
    assert done.code == 0
    assert until(lambda: gone(int(done.stdout)))


def test_a_killed_conductor_leaves_no_grandchild(tmp_path: Path) -> None:
    code, mark = tmp_path / "code.py", tmp_path / "pids"
    code.write_text(STUBBORN)
    conductor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import os, sys\nfrom pathlib import Path\nfrom pilothouse_tools.child import run\n"
                "run([sys.executable, '-c', open(sys.argv[2]).read(), sys.argv[1], 'parent', sys.argv[2]],"
                " cwd=Path('/'), env={'PATH': os.environ['PATH']}, timeout=300)"
            ),
            str(mark),
            str(code),
        ]
    )
    assert until(mark.exists)
    pids = [int(pid) for pid in mark.read_text().split()]
    assert not any(gone(pid) for pid in pids)
    conductor.kill()
    conductor.wait()
    for pid in pids:
        assert until(lambda pid=pid: gone(pid)), f"process {pid} outlived its conductor"  # type: ignore[misc]


def test_an_interrupted_conductor_leaves_no_child(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def interrupt() -> None:
        if until(lambda: mark.exists() and bool(mark.read_text())):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", f"echo $$ > {mark}; sleep 600"], cwd=tmp_path, env={"PATH": PATH}, timeout=60)
    assert gone(int(mark.read_text()))


def test_a_child_that_signals_its_own_group_does_not_lose_the_guardian(tmp_path: Path) -> None:
    done = run(["sh", "-c", "trap '' TERM; kill -TERM 0; echo on"], cwd=tmp_path, env={"PATH": PATH}, timeout=10)
    assert (done.code, done.stdout) == (0, b"on\n")


def test_it_works_from_several_threads(tmp_path: Path) -> None:
    results: dict[int, bytes] = {}

    def one(number: int) -> None:
        for _ in range(5):
            done = run(["cat"], cwd=tmp_path, env={"PATH": PATH}, timeout=20, stdin=b"%d" % number)
            results[number] = done.stdout

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: b"%d" % number for number in range(8)}


def test_nothing_stays_open_afterwards(tmp_path: Path) -> None:
    descriptors = Path("/dev/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        run(["true"], cwd=tmp_path, env={"PATH": PATH}, timeout=10, stdin=b"x")
        with pytest.raises(ToolFailed):
            run(["true"], cwd=tmp_path / "missing", env={"PATH": PATH}, timeout=10)
    assert len(list(descriptors.iterdir())) == before


def test_a_missing_tool_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="no-such-tool") as caught:
        run(["no-such-tool"], cwd=tmp_path, env={"PATH": PATH}, timeout=10)
    assert caught.value.reason_code == "tool-missing"
    assert "no-such-tool" in caught.value.hint


@pytest.mark.parametrize("path", [".", "", ":", "bin"])
def test_the_working_directory_never_chooses_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for folder in (tmp_path, tmp_path / "bin"):
        folder.mkdir(exist_ok=True)
        (folder / "git").write_text("#!/bin/sh\necho mine\n")
        (folder / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for name in ("git", "./git", "bin/git"):
        with pytest.raises(ToolFailed) as caught:
            run([name], cwd=tmp_path, env={"PATH": path}, timeout=10)
        assert caught.value.reason_code == "tool-missing"


@pytest.mark.parametrize(
    ("argv", "env", "code"),
    [
        (["true", "a\0b"], {"PATH": PATH}, "bad-argument"),
        (["true"], {"PATH": PATH, "A": "x\0"}, "bad-argument"),
        (["true"], {"PATH": PATH, "A=B": "x"}, "bad-argument"),
        (["true", "\ud800"], {"PATH": PATH}, "bad-argument"),
        ([], {"PATH": PATH}, "bad-argument"),
        (["true", "x" * 3_000_000], {"PATH": PATH}, "tool-not-started"),
    ],
)
def test_what_cannot_be_passed_on_is_refused(tmp_path: Path, argv: list[str], env: dict[str, str], code: str) -> None:
    with pytest.raises(ToolFailed) as caught:
        run(argv, cwd=tmp_path, env=env, timeout=10)
    assert caught.value.reason_code == code


def test_a_missing_working_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="missing") as caught:
        run(["true"], cwd=tmp_path / "missing", env={"PATH": PATH}, timeout=10)
    assert caught.value.reason_code == "tool-not-started"
