"""Every spoilt state.yml or ledger is refused by name, with its line where there is one and a hint; nothing changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.sample import Answer, lately, pilothouse, project
from pilothouse import statefile, stateview
from pilothouse.app import Pilothouse
from pilothouse.errors import EXIT_USAGE, InvalidFile
from render import story

VIEW = {
    "pilothouse": {
        "schema": "pilothouse.state/1", "rendered_by": "pilothouse 0.1.0", "heads": {"acme": {"seq": 7, "hash": "ab" * 32}},
    },
    "products": {"acme": {"phase": "released", "version": "1.4.0", "environments": {"staging": {"version": "1.4.0"}}}},
}  # fmt: skip
GOOD = statefile.render(None, VIEW)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Bad:
    """``old`` becomes ``new`` (no ``old``: the whole file); the refusal stands on ``line`` and says ``says``."""

    id: str
    old: str
    new: str
    says: str
    mark: str = ""


STATE = (
    Bad("cut-in-quotes", GOOD[GOOD.index('"1.4.0"') + 3 :], "", "is no YAML"),
    Bad("cut-in-a-key", GOOD[GOOD.index('version: "1.4.0"') :], "vers", "is no YAML"),
    Bad("cut-in-brackets", "", "products: {acme: {phase: released\n", "is no YAML"),
    Bad("bell", "phase: ", "phase: \x07", "the invisible character U+0007"),
    Bad("escape-sequence", "phase: ", "phase: \x1b[2J", "the invisible character U+001B"),
    Bad("nul", "phase: ", "phase: \x00", "the invisible character U+0000"),
    Bad("right-to-left", "phase: ", "phase: \u202e", "the invisible character U+202E"),
    Bad("tab", "  acme:\n    phase", "\tacme:\n    phase", "a tab", "\tacme"),
    Bad("products-twice", "products:\n", "products: {}\nproducts:\n", "'products' is there twice"),
    Bad("phase-twice", "    phase:", "    phase: a\n    phase:", "'phase' is there twice"),
    Bad("two-documents", "products:\n", "---\nproducts:\n", "a second document"),
    Bad("an-anchor", "phase: released", "phase: &p released", "the anchor &p"),
    Bad("an-alias", "phase: released", "phase: *p", "alias"),
    Bad("a-tag", "phase: released", "phase: !!python/object:os.system released", "the tag"),
    Bad("a-list", "", "- acme\n", "the document must be a mapping"),
    Bad("a-text", "", "released\n", "the document must be a mapping"),
    Bad("a-number-as-key", "  acme:\n    phase", "  1:\n    phase", "the key 1 is no text"),
    Bad("products-a-list", "", "products: [acme]\n", "products must be a mapping"),
    Bad("product-a-text", "", "products:\n  acme: released\n", "products.acme must be a mapping"),
    Bad("environments-a-list", "", "products:\n  acme:\n    environments: [staging]\n", "environments must be a mapping"),
    Bad("environment-a-text", "", "products:\n  acme:\n    environments:\n      staging: up\n", "staging must be a mapping"),
    Bad("header-a-text", "", "pilothouse: mine\n", "pilothouse must be a mapping"),
    Bad("unknown-header-key", "rendered_by:", "renderd_by:", "pilothouse.renderd_by is an unknown key"),
    Bad("unknown-head-key", "      seq:", "      sequence: 7\n      seq:", "heads.acme.sequence is an unknown key"),
    Bad("newer-schema", "pilothouse.state/1", "pilothouse.state/2", "is not pilothouse.state/1"),
    Bad("heads-a-text", "", "pilothouse:\n  heads: none\n", "pilothouse.heads must be a mapping"),
    Bad("seq-a-text", "seq: 7", "seq: seven", "must hold seq as a whole number"),
    Bad("seq-a-flag", "seq: 7", "seq: true", "must hold seq as a whole number"),
    Bad("hash-missing", GOOD[GOOD.index("      hash:") : GOOD.index("products:")], "", "must hold hash as text", "    acme:\n      seq"),
    Bad("too-long", "", "a: " + "x" * 1_100_000 + "\n", "is larger than"),
    Bad("not-utf-8", "", "\udcff\udcfe", "is not UTF-8 text"),
)  # fmt: skip


def spoilt(case: Bad) -> bytes:
    if not case.old:
        return case.new.encode("utf-8", "surrogateescape")
    assert GOOD.count(case.old) >= 1, case.id
    return GOOD.replace(case.old, case.new, 1).encode()


@pytest.mark.parametrize("case", STATE, ids=lambda case: case.id)
def test_a_spoilt_state_file_is_refused_at_its_line_before_a_run_moves(tmp_path: Path, case: Bad) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    file = folder / "state.yml"
    file.write_bytes(spoilt(case))
    before = contents(folder)
    app = Pilothouse(folder, environ={})
    with pytest.raises(InvalidFile) as caught:
        stateview.check_state_file(app)
    assert not stateview.render_state_file(app)
    app.close()
    error = caught.value
    assert (error.exit_code, error.reason_code) == (EXIT_USAGE, "invalid-file")
    assert case.says in error.message
    assert "state.yml" in error.path
    if case.id != "too-long":
        assert error.hint
        assert error.line >= 1
    if case.mark or (case.old and case.new.strip() and "cut" not in case.id):
        text = spoilt(case).decode()
        place = text.index(case.mark or case.new) + len((case.mark or case.new).rstrip("\n"))
        assert abs(error.line - (text[:place].count("\n") + 1)) <= 1
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but SQLite's own index of its log, which readers write, too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_the_sample_itself_is_sound() -> None:
    assert statefile.read(GOOD)["products"] == VIEW["products"]


# --- the ledger -----------------------------------------------------------------------------------------------------

Spoil = Callable[[Path], object]


def sql(*statements: str) -> Spoil:
    def spoil(path: Path) -> None:
        ledger = sqlite3.connect(path)
        for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            ledger.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            ledger.execute(statement)
        ledger.commit()
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ledger.close()

    return spoil


def entry(change: Callable[[str], str]) -> Spoil:
    """Change the text of the third entry."""

    def spoil(path: Path) -> None:
        ledger = sqlite3.connect(path)
        ((text,),) = ledger.execute("SELECT CAST(entry AS TEXT) FROM events WHERE seq = 3")
        ledger.close()
        assert change(text) != text
        new = change(text).replace("'", "''")
        sql(f"UPDATE events SET entry = CAST('{new}' AS BLOB) WHERE seq = 3")(path)

    return spoil


def cut(share: float) -> Spoil:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def holed(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(4096) + whole[8192:])


def foreign(path: Path) -> None:
    path.unlink()
    sql("CREATE TABLE mine (x)")(path)


LEDGER: dict[str, tuple[Spoil, set[str]]] = {
    "a-text-file": (lambda path: path.write_text("not a database\n" * 400), {"ledger-corrupt", "ledger-foreign", "ledger-truncated"}),
    "empty": (lambda path: path.write_bytes(b""), {"ledger-truncated"}),
    "cut-in-half": (cut(0.5), {"ledger-truncated"}),
    "cut-in-the-header": (lambda path: path.write_bytes(path.read_bytes()[:50]), {"ledger-truncated"}),
    "cut-by-a-page": (lambda path: path.write_bytes(path.read_bytes()[:-4096]), {"ledger-truncated"}),
    "a-page-of-nothing": (holed, {"ledger-corrupt"}),
    "another-database": (foreign, {"ledger-foreign"}),
    "a-newer-schema": (sql("PRAGMA user_version = 99"), {"ledger-newer"}),
    "no-table": (sql("DROP TABLE events"), {"ledger-error", "ledger-corrupt", "ledger-broken-chain"}),
    "a-folder": (lambda path: (path.unlink(), path.mkdir()), {"ledger-cannot-open"}),
    "an-entry-dropped": (sql("DELETE FROM events WHERE seq = 3"), {"ledger-broken-chain"}),
    "the-first-entry-dropped": (sql("DELETE FROM events WHERE seq = 1"), {"ledger-broken-chain"}),
    "an-entry-cut": (entry(lambda text: text[:-5]), {"ledger-malformed"}),
    "an-entry-of-text": (entry(lambda _: "hello"), {"ledger-malformed"}),
    "an-entry-of-a-list": (entry(lambda _: "[1,2]"), {"ledger-malformed", "ledger-not-canonical"}),
    "a-key-twice": (entry(lambda text: text[:-1] + ',"seq":3}'), {"ledger-not-canonical"}),
    "an-unknown-key": (entry(lambda text: '{"zzz":1,' + text[1:]), {"ledger-not-canonical", "ledger-malformed"}),
    "a-control-character": (entry(lambda text: text.replace('"run"', '"r\x07un"', 1)), {"ledger-malformed"}),
    "another-word": (entry(lambda text: text.replace("acme", "acne", 1)), {"ledger-broken-chain", "ledger-malformed", "ledger-not-canonical"}),
}  # fmt: skip


def settled(folder: Path) -> Path:
    """The ledger in one file, without a log beside it."""
    path = folder / ".pilothouse" / "ledger.db"
    sql()(path)
    path.with_name(".gitignore").write_text("*\n", encoding="utf-8")  # as the facade writes it at first
    for name in ("ledger.db-wal", "ledger.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return path


def refused(answer: Answer, codes: set[str]) -> None:
    assert answer.code == 50, answer.out + answer.err
    assert answer.json["reason_code"] in codes
    assert answer.json["message"]
    assert answer.json["hint"]
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("name", LEDGER)
def test_a_spoilt_ledger_is_refused_by_name_and_stays_as_it_is(tmp_path: Path, name: str) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    spoil, codes = LEDGER[name]
    spoil(settled(folder))
    before = contents(folder)
    for words in (["status"], ["resume"], ["rollback", "acme", "--severity", "high", "--reason", "x"]):
        refused(pilothouse(*words, "--json", cwd=folder), codes)
    verified = pilothouse("audit", "verify", "--json", cwd=folder)
    assert verified.code == 50
    assert verified.json.get("ok") is False or verified.json["reason_code"] in codes
    assert contents(folder) == before


def test_there_are_enough_cases() -> None:
    assert len(STATE) + len(LEDGER) >= 45
