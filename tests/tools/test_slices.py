"""Bounded slices of the repository: enough to review a release, and no way out of the pinned commits."""

from __future__ import annotations

import base64
import json
import os

import pytest

from pilothouse.canonical import canonical
from pilothouse.errors import ToolFailed
from pilothouse_tools.observe import window

SECRET = "kX7-Qm2_Zp9-Rt4_Lw8-held"
LEAK = "gh" + "p_" + "A1b2C3d4" * 5  # put together here, so that no scanner takes this file for a leak


def look(box, tool, **arguments):
    return box.observe(tool, arguments).facts


def refused(box, tool, **arguments):
    with pytest.raises(ToolFailed) as failure:
        box.observe(tool, arguments)
    return failure.value


def numbered(count, width=0):
    return "".join(f"line {number}{'x' * width}\n" for number in range(count))


def read_whole(box, tool, **arguments):
    """Every slice, one after another, as an agent asks for them."""
    parts, line = [], 0
    while True:
        facts = look(box, tool, **arguments, line=line)
        assert facts["text"].count("\n") < 400
        assert len(json.dumps(facts, ensure_ascii=False)) <= 24_000
        parts.append(facts["text"])
        line = facts["next"]
        if not line:
            return "\n".join(parts) + "\n", facts["lines"]


# --- what they show -------------------------------------------------------------------------------------------------


def test_a_diff_names_its_files_and_a_path_narrows_it(small):
    sha = small.commit("feat: x", {"app/a.py": "one\n", "app/b.py": "two\nthree\n", "run.sh": "#!/bin/bash\n"})
    box = small.toolbox()
    whole = look(box, "git.diff", **{"from": small.released, "to": sha})
    assert whole["files"] == [
        {"path": "app/a.py", "added": 1, "deleted": 0}, {"path": "app/b.py", "added": 2, "deleted": 0},
        {"path": "run.sh", "added": 1, "deleted": 1},
    ]  # fmt: skip
    assert (whole["more"], whole["complete"], whole["next"]) == (0, True, 0)
    assert "+three" in whole["text"]
    one = look(box, "git.diff", **{"from": small.released, "to": sha}, path="app/")
    assert one["files"] == []
    assert "+three" in one["text"]
    assert "bash" not in one["text"]


def test_slices_put_together_are_the_whole(small):
    text = numbered(1000, width=40)
    sha = small.commit("feat: long", {"long.txt": text})
    box = small.toolbox()
    assert read_whole(box, "git.read", sha=sha, path="long.txt") == (text, 1000)
    told, lines = read_whole(box, "git.diff", **{"from": small.released, "to": sha}, path="long.txt")
    raw = small.git("diff", "--abbrev=12", small.released, sha, "--", "long.txt") + "\n"
    assert told == raw
    assert lines == raw.count("\n")


def test_no_result_holds_more_than_its_room_and_what_is_left_out_is_told(small):
    wide = {f"many/{'n' * 100}-{number:03}.txt": "needle " + "wide " * 90 + "\n" for number in range(600)}
    sha = small.commit("feat: many", wide)
    box = small.toolbox()
    diff = look(box, "git.diff", **{"from": small.released, "to": sha})
    assert 0 < len(diff["files"]) <= 200
    assert len(diff["files"]) + diff["more"] == 600
    grep = look(box, "git.grep", sha=sha, text="needle")
    listed = look(box, "git.list", sha=sha, path="many")
    assert grep["more"]
    assert listed["more"]
    assert 0 < len(grep["matches"]) <= 100
    assert 0 < len(listed["entries"]) <= 500
    for facts in (diff, grep, listed):
        assert len(json.dumps(facts, ensure_ascii=False)) <= 24_000
        assert canonical(facts)


def test_a_hundred_matches_and_five_hundred_entries_are_the_most(small):
    sha = small.commit("feat: many", {f"d/{number}": "x\n" for number in range(501)} | {"f": "n\n" * 101})
    box = small.toolbox()
    listed = look(box, "git.list", sha=sha, path="d")
    assert (len(listed["entries"]), listed["more"]) == (500, True)
    found = look(box, "git.grep", sha=sha, text="n", path="f")
    assert (len(found["matches"]), found["more"]) == (100, True)


def test_a_long_line_is_cut_and_says_by_how_much(small):
    sha = small.commit("feat: minified", {"a.js": "y" * 100_000 + "\nshort\n"})
    facts = look(small.toolbox(), "git.read", sha=sha, path="a.js")
    first, second = facts["text"].split("\n")
    assert first == "y" * 500 + " […99500 more characters]"
    assert second == "short"


def test_a_search_finds_words_and_no_patterns_and_counts_as_reading_does(small):
    sha = small.commit("feat: x", {"app/a.py": "debug = True\nx.y\nxzy\n", "other/b.py": "x.y\n"})
    box = small.toolbox()
    assert look(box, "git.grep", sha=sha, text="x.y") == {
        "matches": [{"path": "app/a.py", "line": 1, "text": "x.y"}, {"path": "other/b.py", "line": 0, "text": "x.y"}],
        "more": False,
    }
    assert len(look(box, "git.grep", sha=sha, text="x.y", path="app")["matches"]) == 1
    assert look(box, "git.grep", sha=sha, text="nowhere to be found")["matches"] == []
    assert look(box, "git.read", sha=sha, path="app/a.py", line=1)["text"].startswith("x.y")


def test_a_folder_is_listed_with_kinds_and_sizes(small):
    (small.clone / "link").symlink_to("/etc/passwd")
    small.git("update-index", "--add", "--cacheinfo", f"160000,{small.released},module")
    sha = small.commit("feat: kinds", {"app/a.py": "123\n"})
    entries = look(small.toolbox(), "git.list", sha=sha)["entries"]
    kinds = {entry["name"]: (entry["kind"], entry["bytes"]) for entry in entries}
    assert (kinds["app"], kinds["link"]) == (("folder", 0), ("link", 11))
    assert kinds["run.sh"] == ("file", 10)
    assert look(small.toolbox(), "git.list", sha=sha, path="app/")["entries"] == [
        {"name": "a.py", "kind": "file", "bytes": 4}, {"name": "version.py", "kind": "file", "bytes": 22},
    ]  # fmt: skip


# --- what they refuse -----------------------------------------------------------------------------------------------

ODD = ["../..", "/etc/passwd", "app/../../x", ".git/config", "app/.GIT/config", "a\0b", "a\nb", "a//b", "~" * 1001]
LITERAL = [":(glob)*", ":(top)run.sh", ":!run.sh", "*.sh", "--output=x", "-p", "run.sh:", "HEAD", "run.s[h]", "@{u}"]
TOOLS = ["git.diff", "git.grep", "git.list", "git.read"]


def asked(tool, small, sha):
    return {
        "git.diff": {"from": small.released, "to": sha}, "git.grep": {"sha": sha, "text": "x"},
        "git.list": {"sha": sha}, "git.read": {"sha": sha},
    }[tool]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("path", ODD, ids=ascii)
def test_a_path_out_of_the_repository_is_refused(still, tool, path):
    assert refused(still.toolbox(), tool, **asked(tool, still, still.released), path=path).reason_code == "bad-argument"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("path", LITERAL)
def test_a_path_is_a_path_whatever_it_looks_like(small, tool, path):
    sha = small.commit("feat: change the script", {"run.sh": "#!/bin/bash x\n"})
    failure = refused(small.toolbox(), tool, **asked(tool, small, sha), path=path)
    assert failure.reason_code == "path-unknown"
    assert failure.hint
    assert not list(small.folder.rglob("x"))  # --output=x


@pytest.mark.parametrize("tool", TOOLS)
def test_a_commit_is_a_whole_sha_and_must_be_known(still, tool):
    arguments = asked(tool, still, "HEAD")
    assert refused(still.toolbox(), tool, **arguments).reason_code == "bad-argument"
    unknown = asked(tool, still, "d" * 40) | ({"path": "run.sh"} if tool == "git.read" else {})
    assert refused(still.toolbox(), tool, **unknown).reason_code == "commit-unknown"


@pytest.mark.parametrize("text", ["", "   ", "a\nb", "a\0b", "a\x1b[2J", "a\u202eb", "n" * 201], ids=ascii)
def test_what_is_looked_for_is_one_visible_line(still, text):
    assert refused(still.toolbox(), "git.grep", sha=still.released, text=text).reason_code == "bad-argument"


@pytest.mark.parametrize(
    "text", ["-e", "--open-files-in-pager=touch x", "-f/etc/passwd", ".*", "$(touch x)", "x[0", "a\\b"]
)
def test_what_is_looked_for_is_no_option_and_no_command(small, text):
    sha = small.commit("feat: odd", {"odd.txt": f"before {text} after\n", "plain.txt": "nothing\n"})
    found = look(small.toolbox(), "git.grep", sha=sha, text=text)["matches"]
    assert [match["path"] for match in found] == ["odd.txt"]
    assert not list(small.folder.rglob("x"))


def test_what_is_no_text_file_is_not_read(small):
    (small.clone / "link").symlink_to("/etc/passwd")
    (small.clone / "folder-link").symlink_to("app")
    (small.clone / "logo.png").write_bytes(b"\x89PNG\0\0")
    sha = small.commit("feat: kinds", {})
    box = small.toolbox()
    for path, told in {"link": "link", "folder-link": "link", "logo.png": "no text", "app": "folder"}.items():
        failure = refused(box, "git.read", sha=sha, path=path)
        assert failure.reason_code == "not-text"
        assert told in failure.message
    assert refused(box, "git.read", sha=sha, path="folder-link/version.py").reason_code == "path-unknown"
    assert refused(box, "git.list", sha=sha, path="link").reason_code == "path-unknown"
    assert look(box, "git.grep", sha=sha, text="PNG")["matches"] == []
    diff = look(box, "git.diff", **{"from": small.released, "to": sha})
    assert "Binary files" in diff["text"]
    assert {"path": "logo.png", "added": -1, "deleted": -1} in diff["files"]


def test_a_submodule_is_named_and_never_entered(small):
    (small.clone / ".gitmodules").write_text(f'[submodule "module"]\n\tpath = module\n\turl = {small.origin}\n')
    small.git("add", "-A")
    small.git("update-index", "--add", "--cacheinfo", f"160000,{small.released},module")
    small.git("commit", "-q", "-m", "feat: a submodule")
    sha, box = small.git("rev-parse", "HEAD"), small.toolbox()
    assert "submodule" in refused(box, "git.read", sha=sha, path="module").message
    assert "submodule" in refused(box, "git.list", sha=sha, path="module").message
    assert refused(box, "git.read", sha=sha, path="module/run.sh").reason_code == "path-unknown"
    assert "Subproject commit" in look(box, "git.diff", **{"from": small.released, "to": sha})["text"]


def test_what_is_too_large_is_refused_with_another_way(small):
    sha = small.commit("feat: huge", {"huge.txt": "z" * 4_000_001, "fat.txt": "fat line\n" * 2_000_000})
    box = small.toolbox()
    for failure in (
        refused(box, "git.read", sha=sha, path="huge.txt"),
        refused(box, "git.diff", **{"from": small.released, "to": sha}, path="fat.txt"),
    ):
        assert failure.reason_code == "slice-too-large"
        assert failure.hint
    whole = look(box, "git.diff", **{"from": small.released, "to": sha})
    assert (whole["complete"], whole["text"]) == (False, "")
    assert {entry["path"] for entry in whole["files"]} == {"huge.txt", "fat.txt"}


def test_a_line_beyond_the_end_shows_nothing_and_one_before_the_beginning_is_refused(small):
    sha = small.commit("feat: empty", {"empty": "", "short": "a\n"})
    box = small.toolbox()
    assert look(box, "git.read", sha=sha, path="short", line=5000) == {"text": "", "lines": 1, "next": 0}
    assert look(box, "git.read", sha=sha, path="empty") == {"text": "", "lines": 0, "next": 0}
    assert refused(box, "git.read", sha=sha, path="short", line=-1).reason_code == "bad-argument"
    assert look(box, "git.diff", **{"from": sha, "to": sha})["lines"] == 0


# --- what no slice shows or runs ------------------------------------------------------------------------------------


def test_nothing_of_the_repository_or_its_configuration_runs_or_hides(small):
    trap = small.folder / "trap.sh"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {small.folder}/sprung\ncat "$1"\n')
    trap.chmod(0o755)
    for key in ("diff.external", "diff.evil.textconv", "diff.evil.command", "core.pager", "core.fsmonitor"):
        small.git("config", key, str(trap))
    sha = small.commit("feat: x", {
        ".gitattributes": "*.py diff=evil\n*.txt -diff binary\n* filter=evil\n", "a.py": "seen\n", "b.txt": "seen\n",
    })  # fmt: skip
    small.push("main")
    (small.folder / "sprung").unlink(missing_ok=True)
    before, box = small.untouched(), small.toolbox()
    diff = look(box, "git.diff", **{"from": small.released, "to": sha})["text"]
    found = look(box, "git.grep", sha=sha, text="seen")["matches"]
    look(box, "git.read", sha=sha, path="a.py")
    look(box, "git.list", sha=sha)
    assert diff.count("+seen") == 2  # -diff in .gitattributes hides nothing
    assert [match["path"] for match in found] == ["a.py", "b.txt"]
    assert not (small.folder / "sprung").exists()
    assert small.untouched() == before


def test_a_held_secret_is_in_no_slice_not_even_in_half(small):
    encoded = base64.b64encode(SECRET.encode()).decode()
    content = {
        "plain.txt": f"key = {SECRET}\n", "wide.txt": "w" * 490 + SECRET + "\n", "code.txt": f"k: {encoded}\n",
        "wrapped.txt": f"before\n{SECRET[:12]}\n{SECRET[12:]}\nafter\n",
        "edge.txt": numbered(399) + f"{SECRET[:12]}\n{SECRET[12:]}\n" + "end\n",
    }  # fmt: skip
    sha = small.commit("feat: leak", content)
    box = small.toolbox(environ={**small.environ, "GH_TOKEN": SECRET})
    shown = [read_whole(box, "git.read", sha=sha, path=path)[0] for path in content]
    shown += [read_whole(box, "git.diff", **{"from": small.released, "to": sha}, path=path)[0] for path in content]
    shown.append(json.dumps(look(box, "git.grep", sha=sha, text="k")))
    for text in shown:
        bare = "".join(text.split()).replace("+", "")
        assert SECRET[:12] not in bare
        assert SECRET[12:] not in bare
        assert encoded[:20] not in bare
    assert "before\n" in shown[3]
    assert shown[3].endswith("after\n")
    assert shown[4].count("\n") == 402


def test_a_leaked_secret_is_withheld_and_the_lines_around_it_are_not(small):
    key = "\n".join(
        [
            "-----BEGIN RSA " + "PRIVATE KEY-----",
            *["MIIEpAIBAAKCAQEA" * 4] * 60,
            "abc=",
            "-----END RSA " + "PRIVATE KEY-----",
        ]
    )
    sha = small.commit(
        "feat: oops", {"cfg.py": f'a = 1\nt = "{LEAK}"\nb = 2\n', "id_rsa": f"{numbered(380)}{key}\nafter\n"}
    )
    box = small.toolbox()
    for text in (
        read_whole(box, "git.read", sha=sha, path="cfg.py")[0], json.dumps(look(box, "git.grep", sha=sha, text="t =")),
        read_whole(box, "git.diff", **{"from": small.released, "to": sha})[0],
    ):  # fmt: skip
        assert LEAK not in text
        assert "[withheld: it looks like a secret]" in text
    assert read_whole(box, "git.read", sha=sha, path="cfg.py")[0].split("\n")[::2] == ["a = 1", "b = 2"]
    for told, lines in (
        read_whole(box, "git.read", sha=sha, path="id_rsa"),
        read_whole(box, "git.diff", **{"from": small.released, "to": sha}, path="id_rsa"),
    ):
        assert "MIIE" not in told
        assert "abc=" not in told
        assert told.endswith("after\n")
        assert told.count("\n") == lines


def test_the_first_line_of_a_key_alone_hides_nothing_that_follows(small):
    sha = small.commit("feat: x", {"a.py": '# -----BEGIN RSA PRIVATE KEY-----\nimport os\nos.system("debug")\n'})
    text = look(small.toolbox(), "git.read", sha=sha, path="a.py")["text"]
    assert 'import os\nos.system("debug")' in text


def test_what_is_hidden_in_a_text_is_spelt_out(small):
    sha = small.commit(
        "feat: x", {"a.txt": "one\u202etwo\x1b[2J\u200bthree\r\nfour\n", "bad\u202ename.txt": "needle\n"}
    )
    box = small.toolbox()
    text = look(box, "git.read", sha=sha, path="a.txt")["text"]
    assert text == "one<U+202E>two<U+001B>[2J<U+200B>three\nfour"
    assert look(box, "git.grep", sha=sha, text="needle")["matches"][0]["path"] == "bad<U+202E>name.txt"
    names = [entry["name"] for entry in look(box, "git.list", sha=sha)["entries"]]
    assert "bad<U+202E>name.txt" in names


def test_a_file_that_is_no_text_is_not_searched_and_disturbs_no_match(small):
    (small.clone / "a.bin").write_bytes(b"needle\0\n")
    sha = small.commit("feat: x", {"b.txt": "needle\n"})
    found = look(small.toolbox(), "git.grep", sha=sha, text="needle")
    assert found == {"matches": [{"path": "b.txt", "line": 0, "text": "needle"}], "more": False}


def test_a_name_with_a_line_feed_forges_no_match(small):
    name = "a\nforged.py"
    (small.clone / name).write_text("needle\n")
    sha = small.commit("feat: x", {})
    found = look(small.toolbox(), "git.grep", sha=sha, text="needle")["matches"]
    assert [match["text"] for match in found] == ["needle"]
    assert found[0]["path"] == "a\\nforged.py"


def test_odd_bytes_are_shown_as_well_as_can_be(small):
    (small.clone / "latin.txt").write_bytes(b"gr\xfc\xdfe\n")
    os.link(small.clone / "latin.txt", os.fsencode(small.clone) + b"/na\xefve.txt")
    sha = small.commit("feat: bytes", {})
    box = small.toolbox()
    assert look(box, "git.read", sha=sha, path="latin.txt")["text"] == "gr\ufffd\ufffde"
    assert canonical(look(box, "git.list", sha=sha))
    assert canonical(look(box, "git.diff", **{"from": small.released, "to": sha}))


@pytest.mark.parametrize("taken", ["a\nb", "b\nc\nd"])
def test_lines_keep_their_numbers_when_something_is_taken_out_over_several(taken):
    part = window.cut(b"a\nb\nc\nd\ne\n", 0, lambda text: text.replace(taken, "[redacted]"))
    assert part.text.split("\n")[4] == "e"
    assert part.text.count("\n") == 4
    assert not set(taken.split("\n")) & set(part.text.split("\n"))
