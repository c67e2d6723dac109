"""What a range touches: by path and by content, whatever hides it; too much rather than too little (I11, I21)."""

from __future__ import annotations

import os
import time

import pytest

from pilothouse_tools.observe.touched import destructive, kinds_of

PATHS = {
    ".github/workflows/ci.yml": ("ci",),
    "sub/.github/workflows/x.yml": ("ci",),
    ".github": ("ci",),  # a submodule or a link in its place
    ".GitHub/Workflows/CI.yml": ("ci",),
    ".gitlab-ci.yml": ("ci",),
    ".gitlab-ci-more.yaml": ("ci",),
    "Jenkinsfile": ("ci",),
    "ops/Jenkinsfile.release": ("ci",),
    "azure-pipelines-prod.yml": ("ci",),
    ".husky/pre-push": ("ci",),
    ".gitattributes": ("ci",),
    ".gitmodules": ("ci",),
    "CODEOWNERS": ("ci", "policy"),
    "docs/CODEOWNERS": ("ci", "policy"),
    "pilothouse.yml": ("policy",),
    "apps/one/Pilothouse.YAML": ("policy",),
    "approvals.yml": ("policy",),
    "agents/qa-engineer.md": ("policy",),
    "workflows/release.yml": ("policy",),
    "workflows": ("policy",),
    ".mcp.json": ("policy",),
    "prompts/notes.md.j2": ("prompts",),
    "CLAUDE.md": ("prompts",),
    "AGENTS.md": ("prompts",),
    ".github/copilot-instructions.md": ("ci", "prompts"),
    ".cursor/rules/x.mdc": ("prompts",),
    "package-lock.json": ("lock_files",),
    "web/yarn.lock": ("lock_files",),
    "uv.lock": ("lock_files",),
    "requirements-dev.txt": ("lock_files",),
    "go.sum": ("lock_files",),
    "src/app.py": (),
    "github/workflows.md": (),
    "package.json": (),
    "src/agents.py": (),
    "docs/prompts.md": (),
    "myCODEOWNERS.md": (),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_belongs_to_the_rules_that_it_changes(path):
    assert kinds_of(path) == PATHS[path]


DESTROYS = [
    "DROP TABLE items;", "drop table items", "Drop  Table\nitems", "DROP/**/TABLE items", "DROP -- why\n TABLE items",
    "DROP # why\nTABLE items", "DROP /* a /* b */ c */ TABLE items", "/*!50000 DROP TABLE items */", "DROP VIEW v", "DROP USER u",
    "DROP MATERIALIZED VIEW v", "ALTER TABLE items DROP price", 'ALTER TABLE "my items" DROP price',
    "ALTER TABLE items ADD a INT,\n DROP b", "TRUNCATE items", "TRUNCATE TABLE items", "DELETE FROM items",
    "DELETE i FROM items i", "DELETE LOW_PRIORITY FROM items", "DELETE /* ON DELETE CASCADE */ FROM items",
    "UPDATE items SET price = 0", "UPDATE ONLY items SET price = 0", 'UPDATE "my items" i SET price = 0',
    "UPDATE /* ; */ items\nSET price = 0", "REPLACE INTO items VALUES (1)", "INSERT OR REPLACE/**/INTO items VALUES (1)",
    "MERGE INTO items USING x", "-- a comment\n-- another\nDROP INDEX i", "SELECT 1; DROP TABLE items",
    "op.drop_table('items')", "op.drop_column('items', 'price')", "remove_column :items, :price", "remove_columns :items, :a",
    "migrations.RemoveField('items', 'price')", "migrations.DeleteModel('Item')", "migrations.RunSQL(text)",
    "await queryInterface.removeColumn('items', 'a')", "table.dropColumn('price')", "knex.schema.dropTableIfExists('items')",
    "Item.objects.all().delete()", "Item.delete_all", "Item.update_all(price: 0)", "knex('items').del()",
    "CREATE TABLE a (b INT REFERENCES c ON DELETE CASCADE); DELETE FROM c", "x\u2028DROP TABLE items",
    "/*!50000DROP TABLE users*/", "/*!50000TRUNCATE users*/;", "/*!50000DELETE FROM users*/", "/*!080000REPLACE INTO t VALUES (1)*/",
    "/*M!100100DROP TABLE users*/", "/*!DROP TABLE users*/", "REPLACE/*!50000INTO*/ t VALUES (1)", "REPLACE /*! /* x */ */ INTO t",
    "CREATE OR REPLACE TABLE items (id INT)", "create or replace\ntemporary /* x */ table items AS SELECT 1",
    "CREATE OR REPLACE DATABASE shop", "ALTER TABLE items ALTER COLUMN price TYPE INT", "ALTER TABLE items ALTER price TYPE INT",
    'ALTER TABLE items ALTER COLUMN "my price"TYPE INT', "ALTER TABLE items ALTER COLUMN price SET DATA TYPE INT",
    "ALTER TABLE items ALTER COLUMN price INT", "ALTER TABLE items ALTER COLUMN [price] INT NOT NULL",
    "ALTER TABLE items MODIFY price INT", "ALTER TABLE shop.items MODIFY COLUMN price INT", "ALTER TABLE `my items`MODIFY(price INT)",
    "ALTER TABLE items ADD a INT, MODIFY b INT", "alter table items change a b int", "ALTER TABLE items CHANGE COLUMN a b INT",
    "ALTER TABLE items ADD x INT,\n CHANGE a b INT", "/*!50000ALTER TABLE items MODIFY price INT*/",
    "op.alter_column('items', 'price', type_=sa.Integer())", "change_column :items, :price, :integer",
    "-- ' */ DROP TABLE items", "x'\n-- '; DROP TABLE items", "/*\n-- */ DROP TABLE items", "-- harmless\rDROP TABLE items",
    "--DROP TABLE items", "-- {{ drop_all() }}", "/* x */ DROP TABLE items /* y */", "/*! DROP TABLE items */", "/* + */DROP TABLE a",
    "DROP\n-- why\nTABLE items", "-- x\u2028DROP TABLE items", "-- \\\nDROP TABLE items",
    "REPLACE /*\n/* x */\nINTO t /* y */", "-- x\r\nDROP TABLE items",
]  # fmt: skip
KEEPS = [
    "CREATE TABLE items (id INT)", "ALTER TABLE items ADD COLUMN price INT", "CREATE INDEX i ON items (price)",
    "INSERT INTO items VALUES (1)", "SELECT * FROM items", "CREATE TABLE a (b INT REFERENCES c ON DELETE CASCADE)",
    "b INT REFERENCES c ON DELETE SET NULL ON UPDATE NO ACTION", "ON  DELETE\nRESTRICT", "CREATE OR REPLACE VIEW v AS SELECT 1",
    "op.add_column('items', x)", "-- nothing happens here", "", "create table dropped_items (id int)", "deleted_at TIMESTAMP",
    "CREATE TABLE updates (id INT)", "backdrop INT", "ALTER TABLE items ADD COLUMN undelete INT",
    "-- we do not DROP TABLE items here; see 0004", "CREATE TABLE a (id INT);\n  -- later: DELETE FROM a (all)\nSELECT 1",
    "-- no DROP TABLE here\r\nSELECT 1\r\n", "dropped_at TIMESTAMP", "ALTER TABLE a ADD COLUMN dropped_at TIMESTAMP",
    "CREATE TABLE a (b INT REFERENCES c (id)\n  ON DELETE CASCADE\n  ON UPDATE SET NULL)", "CREATE OR REPLACE FUNCTION f() RETURNS INT",
    "ALTER TABLE a ALTER COLUMN b SET DEFAULT 1", "ALTER TABLE a ALTER COLUMN b SET NOT NULL", "ALTER TABLE a ALTER b SET DEFAULT 1",
    "ALTER TABLE a ADD COLUMN type TEXT", "ALTER TABLE type ADD COLUMN a INT", "ALTER TYPE mood ADD VALUE 'sad'",
    "ALTER TABLE change_log ADD COLUMN modified_at TIMESTAMP", "CREATE TABLE a (id INT, change INT)", "CREATE TABLE modify (id INT)",
    "op.alter_column('items', 'price', nullable=True)", "change_column_default :items, :price, 0",
]  # fmt: skip


@pytest.mark.parametrize("script", DESTROYS)
def test_what_destroys_data_is_found_whatever_hides_it(script):
    assert destructive(script), script


@pytest.mark.parametrize("script", KEEPS)
def test_what_only_adds_is_let_be(script):
    assert destructive(script) == ()


@pytest.mark.parametrize("script", ["-- DROP TABLE items", "-- Item.objects.all().delete()"])
def test_a_comment_of_sql_is_none_where_other_languages_may_stand(script):
    assert destructive(script) == ()
    assert destructive(script, sql=False)


def test_only_a_file_of_sql_may_say_in_a_comment_what_it_does_not_do(small):
    remark = "-- DROP TABLE items\n"
    newer = small.commit("a", {"db/1.sql": remark, "db/2.sql.erb": remark, "migrations/3.py": remark})
    found = touched(small, newer)["destructive_sql"]
    assert [place.partition(",")[0] for place in found] == ["db/2.sql.erb", "migrations/3.py"]


@pytest.mark.parametrize("word", ["REPLACE", "ALTER COLUMN a", "TABLE a", "ON DELETE", "OR REPLACE", ", CHANGE"])
def test_many_comments_one_after_another_are_read_in_time(word):
    begun = time.monotonic()
    destructive(f"{word} {'/**/' * 20_000}")
    destructive(f"{word} " * 20_000)
    assert time.monotonic() - begun < 20


def test_the_place_is_told_with_its_line():
    assert destructive("-- one\n\nALTER TABLE a ADD b INT;\nDROP TABLE items;\n") == ("line 4: DROP TABLE",)


NOTHING = {"ci": [], "policy": [], "prompts": [], "lock_files": [], "destructive_sql": []}


def touched(small, newer, older=None):
    return small.toolbox().observe("git.touched", {"from": older or small.released, "to": newer}).facts


def test_a_range_tells_all_that_it_touches(small):
    newer = small.commit("feat: much", {
        ".github/workflows/ci.yml": "on: push\n", "migrations/0009.sql": "DROP TABLE a;\n", "uv.lock": "x\n",
        "src/x.py": "DROP TABLE a\n", "README.txt": "DELETE FROM a",
    })  # fmt: skip
    assert touched(small, newer) == {
        **NOTHING, "ci": [".github/workflows/ci.yml"], "lock_files": ["uv.lock"],
        "destructive_sql": ["migrations/0009.sql, line 1: DROP TABLE"],
    }  # fmt: skip


def test_an_innocent_range_touches_nothing_and_a_message_adds_nothing(small):
    newer = small.commit("ci: DROP TABLE items in .github/workflows/ci.yml", {"src/app.py": "x = 1\n"})
    assert touched(small, newer) == NOTHING


def test_what_was_changed_and_changed_back_is_not_in_the_range_and_what_is_inside_a_merge_is(small):
    before = small.commit("a", {".github/ci.yml": "1\n"})
    small.commit("b", {".github/ci.yml": "2\n"})
    newer = small.commit("c", {".github/ci.yml": "1\n"})
    assert touched(small, newer, before) == NOTHING
    assert touched(small, newer)["ci"] == [".github/ci.yml"]


def committed(small, *argv):
    if argv:
        small.git(*argv, cwd=small.clone)
    small.git("commit", "-qm", "chore: change", cwd=small.clone)
    return small.git("rev-parse", "HEAD", cwd=small.clone).strip()


def test_a_rule_that_is_moved_away_or_deleted_is_touched_and_a_deleted_migration_destroys_nothing(small):
    older = small.commit(
        "a", {".github/workflows/ci.yml": "on: push\n" * 20, "prompts/x.md": "x", "db/1.sql": "DROP TABLE a"}
    )
    small.git("mv", ".github/workflows/ci.yml", "old-ci.yml", cwd=small.clone)
    small.git("rm", "-q", "prompts/x.md", "db/1.sql", cwd=small.clone)
    facts = touched(small, committed(small), older)
    assert facts == {**NOTHING, "ci": [".github/workflows/ci.yml"], "prompts": ["prompts/x.md"]}


@pytest.mark.parametrize("place", ["migrations", "db/more", ".github"])
def test_a_submodule_in_the_place_of_rules_or_migrations_is_touched(small, place):
    newer = committed(small, "update-index", "--add", "--cacheinfo", f"160000,{small.released},{place}")
    facts = touched(small, newer)
    kind = "ci" if place == ".github" else "destructive_sql"
    assert len(facts[kind]) == 1
    assert facts[kind][0].startswith(place)


def test_a_migration_that_is_a_link_is_not_taken_for_harmless(small):
    small.commit("a", {"notes.txt": "DROP TABLE items"})
    os.symlink("../notes.txt", small.clone / "9.sql")
    facts = touched(small, committed(small, "add", "9.sql"))
    assert facts["destructive_sql"] == ["9.sql: a link or a submodule, which nobody reads here"]


@pytest.mark.parametrize(
    ("content", "told"),
    [("DROP TABLE a".encode("utf-16"), "no text that could be read"), (b"-- x\n" * 500_000, "too long to read")],
)
def test_a_script_that_cannot_be_read_counts_as_destructive(small, content, told):
    (small.clone / "db").mkdir()
    (small.clone / "db" / "9.sql").write_bytes(content)
    facts = touched(small, committed(small, "add", "db/9.sql"))
    assert facts["destructive_sql"] == [f"db/9.sql: {told}"]


def test_a_path_that_is_no_plain_text_is_still_looked_at(small):
    name = "mi\ngrations\x1b[2J/migrations/\u202e9.sql"
    newer = small.commit("a", {name: "DROP TABLE a"})
    assert len(touched(small, newer)["destructive_sql"]) == 1


def test_what_is_left_out_is_counted(small):
    newer = small.commit("a", {f"prompts/{number:03}.md": "x" for number in range(250)})
    found = touched(small, newer)["prompts"]
    assert len(found) == 201
    assert found[-1] == "and 50 more"
