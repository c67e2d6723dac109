"""state.yml: ours is rendered, a person's survives, and an edit of ours is noticed."""

from __future__ import annotations

import copy
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pilothouse import yamlfile
from pilothouse.errors import InvalidFile
from pilothouse.statefile import check, demand_unedited, read, read_file, render, update, write

SETTINGS = settings(deadline=None)  # a busy machine is no failure

VIEW: dict[str, Any] = {
    "pilothouse": {"heads": {"acme": {"seq": 12, "hash": "ab" * 32}}},
    "products": {
        "acme": {
            "phase": "staging",
            "version": "1.3.0",
            "last_release": "2026-11-01",
            "run": "r-2026-11-21-01",
            "next_action": "pilothouse approve r-2026-11-21-01",
            "environments": {
                "staging": {"version": "1.4.0", "sha": "91be07d"},
                "production": {"version": "1.3.0", "sha": "0123456"},
            },
            "checkpoint": None,
            "tasks": [{"id": "readiness", "state": "done"}, {"id": "go", "state": "waiting"}],
        }
    },
}
PERSON = """\
# The state of our products. Ask Jo before touching.
team: 'harbour'   # us

products:
  # the shop
  acme:   # flagship
    owner: "jo"   # ask her

    version: '1.2.0'   # rolled back on Tuesday
    run: r-1
    environments:
      staging:
        version: 1.0.0 # soon
        url: http://x   # mine
      qa: {version: 1.0.0, sha: aaa}
    notes: |
      hello:

      world

  beta: {version: 2.0.0, owner: li}   # not released by pilothouse
contacts:
- jo
-   li
# the end
"""
THEIRS = (
    "# The state of our products. Ask Jo before touching.\n", "team: 'harbour'   # us\n\n", "  # the shop\n",
    "  acme:   # flagship\n", '    owner: "jo"   # ask her\n\n', "   # rolled back on Tuesday\n", " # soon\n",
    "        url: http://x   # mine\n", "    notes: |\n      hello:\n\n      world\n",
    "  beta: {version: 2.0.0, owner: li}   # not released by pilothouse\n", "contacts:\n- jo\n-   li\n", "# the end\n",
)  # fmt: skip


def changed(view: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    view = copy.deepcopy(view)
    inner = view
    for part in path[:-1]:
        inner = inner[part]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return view


def test_a_missing_file_is_rendered_and_says_whose_it_is() -> None:
    text = render(None, VIEW)
    assert text.startswith("# What pilothouse knows")
    assert YAML(typ="safe").load(text) == VIEW
    assert read(text) == VIEW
    assert check(text, VIEW) == ()
    assert render(text, VIEW) == text


def test_comments_and_foreign_keys_survive_byte_for_byte() -> None:
    text = render(PERSON, VIEW)
    for kept in THEIRS:
        assert kept in text
    data: Any = YAML(typ="safe").load(text)
    assert data["products"]["acme"]["version"] == "1.3.0"
    assert data["products"]["acme"]["environments"] == {
        "staging": {"version": "1.4.0", "url": "http://x", "sha": "91be07d"},
        "production": {"version": "1.3.0", "sha": "0123456"},
    }
    assert data["products"]["acme"]["tasks"] == VIEW["products"]["acme"]["tasks"]
    assert data["products"]["beta"] == {"version": "2.0.0", "owner": "li"}
    assert data["pilothouse"] == VIEW["pilothouse"]
    assert list(data) == ["team", "products", "contacts", "pilothouse"]
    assert check(text, VIEW) == ()


def test_rendering_the_same_view_again_changes_nothing() -> None:
    once = render(PERSON, VIEW)
    assert render(once, VIEW) == once


def test_only_the_value_that_changed_changes() -> None:
    before = render(PERSON, VIEW)
    after = render(before, changed(VIEW, "products", "acme", "version", to="1.4.0"))
    assert after == before.replace('version: "1.3.0"   # rolled back', 'version: "1.4.0"   # rolled back')


def test_what_is_no_longer_so_goes_and_nothing_else() -> None:
    before = render(PERSON, VIEW)
    view = changed(VIEW, "products", "acme", "environments", to=...)
    view = changed(view, "products", "acme", "tasks", to=...)
    after = render(before, view)
    data: Any = YAML(typ="safe").load(after)
    assert data["products"]["acme"]["environments"] == {"staging": {"url": "http://x"}}
    assert "tasks" not in data["products"]["acme"]
    assert all(kept in after for kept in THEIRS if kept != " # soon\n")
    assert render(after, VIEW).count("url: http://x   # mine\n") == 1


def test_an_edited_value_is_noticed_with_its_line_and_both_values() -> None:
    text = render(PERSON, VIEW)
    edited = text.replace('"1.3.0"   # rolled back', "9.9.9   # rolled back")
    (difference,) = check(edited, VIEW)
    assert (difference.path, difference.expected, difference.found) == ("products.acme.version", "1.3.0", "9.9.9")
    assert "9.9.9" in edited.splitlines()[difference.line - 1]
    with pytest.raises(InvalidFile) as caught:
        demand_unedited("state.yml", edited, VIEW)
    assert caught.value.reason_code == "state-edited"
    assert caught.value.line == difference.line
    assert '"9.9.9"' in caught.value.message
    assert '"1.3.0"' in caught.value.message
    assert "rendered anew" in caught.value.hint
    demand_unedited("state.yml", text, VIEW)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("seq: 12", "seq: 13", "pilothouse.heads.acme.seq"),
        ("seq: 12", 'seq: "12"', "pilothouse.heads.acme.seq"),
        ("      seq: 12\n", "", "pilothouse.heads.acme.seq"),
        ("      seq: 12\n", "      seq: 12\n      more: 1\n", "pilothouse.heads.acme.more"),
        ('        sha: "91be07d"\n', "        sha: 91be07e\n", "products.acme.environments.staging.sha"),
        ("      - id: readiness\n", "      - id: regression\n", "products.acme.tasks"),
        ("    checkpoint: null\n", "    checkpoint: go\n", "products.acme.checkpoint"),
        ("    phase: staging\n", "", "products.acme.phase"),
        ("    phase: staging\n", "    phase: staging\n    last_activity: now\n", "products.acme.last_activity"),
    ],
)
def test_every_kind_of_edit_of_ours_is_noticed(old: str, new: str, path: str) -> None:
    text = render(PERSON, VIEW)
    assert text.count(old) == 1
    assert [difference.path for difference in check(text.replace(old, new), VIEW)] == [path]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('owner: "jo"', 'owner: "li"'), ("team: 'harbour'", "team: sea"), ("# soon", "# later"), ("hello", "bye"),
        ("- jo\n", ""), ('version: "1.3.0"   #', "version: '1.3.0' #"), ("url: http://x", "url: http://y"),
        ("beta: {version: 2.0.0", "beta: {version: 3.0.0"),
    ],
)  # fmt: skip
def test_a_persons_edit_of_their_own_is_nobodys_business(old: str, new: str) -> None:
    text = render(PERSON, VIEW)
    assert old in text
    edited = text.replace(old, new)
    assert check(edited, VIEW) == ()
    assert render(edited, VIEW) == edited


def test_true_is_not_one() -> None:
    view: dict[str, Any] = {"pilothouse": {"ledger": {"seq": 1}}}
    text = render(None, view)
    assert check(text.replace("seq: 1", "seq: true"), view) != ()


def test_a_file_without_our_keys_differs_in_all_and_a_missing_one_in_nothing() -> None:
    assert {difference.path for difference in check("team: a\n", VIEW)} >= {"pilothouse", "products.acme.version"}
    assert check(None, VIEW) == check("", VIEW) == check("# nothing yet\n\n", VIEW) == ()
    assert read(None) == read("# nothing\n") == {}


@pytest.mark.parametrize(
    "existing",
    [
        "", "\n", "# mine\n", "# mine", "{}\n", "team: a", "team: a\n", "products:\n", "products: # ours\n", "products: {}\n",
        "products:\n  acme:\n", "products:\n  acme: ~\n", "products: {acme: {owner: jo}}\n", "{team: a}\n",
        "{team: a, products: {acme: {owner: jo, version: 1.0.0}}}\n", "---\nteam: a\n", "---\nteam: a\n...\n",
        "products:\n  acme:\n    owner: jo\n    version: |\n      1.0.0\n\nteam: a\n",
        "products:\n  acme:\n    version: >-\n      1.0.0\n", "products:\n  acme:\n    version:\n      1.0.0\n    owner: x\n",
        "products:\n  acme:\n    version:   # which?\n    owner: x\n", "products:\n  acme:\n    tasks:\n    - a   # one\n    owner: x\n",
        "products:\n  acme:\n    tasks: [a,\n      b]  # two\n    owner: x\n", "products:\n    acme:\n          version: 1.0.0\n",
        "products:\n  acme:\n    version: 1.0.0\n    owner: x", "products:\r\n  acme:\r\n    owner: x\r\n    run: 5\r\n",
        '"products":\n  "acme":\n    "version": "1"\n', "pilothouse: old\nteam: a\n", "pilothouse:\n  ledger: {seq: 1}\n",
        "pilothouse:\n  a:\n    b:\n      c: 1\nteam: b\n", "products:\n  acme:\n    environments:\n      staging:\n      x: {y: 1}\n",
        "products:\n  acme:\n    environments: {staging: {version: 1, url: u}}   # e\n", "products:\n  acme:\n    version: 1.0.0\n",
        "products:\n  acme: {version: 1.0.0,  # why\n    owner: x}\n", "products:\n  zeta:\n    version: 1.0.0\n  # last\n# end\n",
        "team: |\n  a\n\n\n", "team: |+\n  a\n\n", "team: >\n  a\n  b", "products:\n  acme:\n    version: 'a\n      b'  # c\n",
    ],
)  # fmt: skip
def test_every_way_to_write_the_file_has_room_for_ours(existing: str) -> None:
    text = render(existing, VIEW)
    assert check(text, VIEW) == ()
    assert render(text, VIEW) == text
    assert all(line.split("#", 1)[1] in text for line in existing.splitlines() if "#" in line and "{" not in line)
    if "\r" in existing:
        assert text.count("\n") == text.count("\r\n")
    before: Any = YAML(typ="safe").load(existing) or {}
    after: Any = YAML(typ="safe").load(text)
    # A `|` value at the very end gains the line end that the file lacked.
    assert str(before.get("team")).rstrip("\n") == str(after.get("team")).rstrip("\n")
    owner = ((before.get("products") or {}).get("acme") or {}).get("owner")
    assert after["products"]["acme"].get("owner") == owner
    # ... and ours can all go again.
    gone = render(text, {"pilothouse": {}, "products": {"acme": {}}})
    left: Any = read(gone)
    assert set(left.get("products", {}).get("acme", {})) <= {"environments"}


@pytest.mark.parametrize("existing", ["products: 5\n", "products: [acme]\n", "products:\n  acme: text\n", "[a]\n", "text\n",
                                      "products:\n  acme:\n    environments: none\n"])  # fmt: skip
def test_a_file_without_room_for_ours_is_refused(existing: str) -> None:
    with pytest.raises(InvalidFile, match="must be a mapping"):
        render(existing, VIEW)


@pytest.mark.parametrize(
    "existing", ["a: 1\na: 2\n", "a: &x 1\n", "a: [\n", "products:\n  acme:\n    run: 1\n    run: 2\n"]
)
def test_a_file_that_is_not_strict_is_refused_and_kept(tmp_path: Path, existing: str) -> None:
    file = tmp_path / "state.yml"
    file.write_text(existing)
    for use in (lambda: update(file, VIEW), lambda: check(existing, VIEW), lambda: read(existing)):
        with pytest.raises(InvalidFile):
            use()
    assert file.read_text() == existing


def test_invisible_characters_of_the_ledger_do_not_make_the_file_unreadable() -> None:
    view = changed(VIEW, "products", "acme", "next_action", to='a\x1b[31mred\u202e\x00\nb\t"c"')
    text = render(PERSON, view)
    assert "\x1b" not in text
    assert check(text, view) == ()
    assert render(text, view) == text


@pytest.mark.parametrize("view", [{"team": "x"}, {"products": {"acme": {"owner": "x"}}},
                                  {"products": {"acme": {"environments": {"staging": {"url": "x"}}}}}])  # fmt: skip
def test_a_view_of_what_is_not_ours_is_a_mistake(view: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no key of a state view"):
        render(PERSON, view)


def test_a_view_of_nothing_takes_ours_away() -> None:
    first = "pilothouse: {ledger: {seq: 1}}\nteam: a\n"
    assert render(first, {}) == "team: a\n"
    assert render(first, {"products": {"a": {"run": "r"}}}) == "team: a\nproducts:\n  a:\n    run: r\n"
    assert not render("pilothouse:\n  ledger: {seq: 1}\n", {}).strip()
    assert render(PERSON, {}) == PERSON


def test_products_do_not_disturb_each_other() -> None:
    both = changed(VIEW, "products", "a.b", to={"version": "7.0.0"})
    text = render(PERSON, both)
    assert check(text, both) == check(text, VIEW) == ()
    assert [d.path for d in check(text.replace("7.0.0", "8.0.0"), both)] == ["products.a.b.version"]
    assert check(text.replace("7.0.0", "8.0.0"), VIEW) == ()


words = st.sampled_from(
    ["jo", "1.0.0", "'x y'", '"q"', "[a, b]", "{k: v}", "|\n          literal\n          text", "~", "5"]
)
comments = st.sampled_from(["", "   # why", " #tight"])
own = ["phase", "version", "run", "checkpoint", "tasks", "last_activity"]
lines = st.lists(
    st.tuples(st.sampled_from([*own, "owner", "notes", "tags", "x"]), words, comments), unique_by=lambda line: line[0]
)
spaces = st.sampled_from(["", "\n", "    # between\n", "# left\n", "\n\n"])


@st.composite
def files(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(["", "# top\n", "team: a # t\n\n"])) + "products:\n"
    for product in draw(st.lists(st.sampled_from(["acme", "beta", "other"]), unique=True)):
        text += draw(spaces) + f"  {product}:{draw(comments)}\n"
        for key, value, comment in draw(lines):
            text += draw(spaces) + f"    {key}: {value}{comment if '|' not in value else ''}\n"
    return text + draw(st.sampled_from(["", "# bottom\n", "after: [1]\n"]))


views = st.dictionaries(
    st.sampled_from(["acme", "beta"]),
    st.fixed_dictionaries(
        {},
        optional={
            "phase": st.text("abc :#'\"\\-ü", max_size=6),
            "version": st.sampled_from(["1.0.0", "2", "yes"]),
            "run": st.none() | st.booleans() | st.integers(0, 9),
            "tasks": st.lists(
                st.dictionaries(st.sampled_from(["id", "state"]), st.sampled_from(["a", ""])), max_size=2
            ),
            "environments": st.dictionaries(
                st.sampled_from(["s", "p"]), st.fixed_dictionaries({"version": st.just("1")})
            ),
        },
    ),
).map(lambda products: {"pilothouse": {"ledger": {"seq": len(products)}}, "products": products})


def theirs(text: str) -> Any:
    data: Any = yamlfile.load(text, "f").data
    data.pop("pilothouse", None)
    for product in (data.get("products") or {}).values():
        for key in (*own, "environments"):
            (product or {}).pop(key, None)
    data["products"] = {name: item for name, item in (data.get("products") or {}).items() if item}
    return data


@SETTINGS
@given(files(), views, views)
def test_whatever_people_write_survives_whatever_is_rendered(
    text: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assume(yamlfile.load(text, "f").data is not None)
    kept = theirs(text)
    comments_before = sorted(line.split("#")[1] for line in text.splitlines() if line.lstrip().startswith("#"))
    for view in (first, second):
        text = render(text, view)
        assert theirs(text) == kept
        assert check(text, view) == ()
        assert render(text, view) == text
    assert comments_before == sorted(line.split("#")[1] for line in text.splitlines() if line.lstrip().startswith("#"))


def test_writing_is_atomic_keeps_the_mode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "state.yml"
    assert update(file, VIEW)
    assert not update(file, VIEW)
    file.chmod(0o600)
    inode = file.stat().st_ino
    assert update(file, changed(VIEW, "products", "acme", "phase", to="production"))
    assert file.stat().st_ino != inode
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.yml"]
    file.unlink()
    assert update(file, VIEW)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "state.yml"
    target.write_text("team: a\n")
    link.symlink_to(target)
    for use in (lambda: update(link, VIEW), lambda: read_file(link), lambda: write(link, "x", replacing=None)):
        with pytest.raises(InvalidFile) as caught:
            use()
        assert caught.value.reason_code == "state-symlink"
    assert target.read_text() == "team: a\n"


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "state.yml"
    file.write_text("team: a\n")
    existing = read_file(file)
    file.write_text("team: b\n")
    with pytest.raises(InvalidFile) as caught:
        write(file, render(existing, VIEW), replacing=existing)
    assert caught.value.reason_code == "state-moved"
    assert file.read_text() == "team: b\n"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile) as caught:
        update(tmp_path / "absent" / "state.yml", VIEW)
    assert caught.value.reason_code == "state-not-written"
