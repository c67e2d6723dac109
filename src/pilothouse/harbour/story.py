"""What happened to the sample product before the world begins, pull request by pull request.

Everything is fixed, dates included, so that equal worlds have equal shas.
"""

from __future__ import annotations

from pilothouse.harbour.changes import Change, Commit, Edit, Issue, add, note, release, replace, squash, write

CHANGELOG = """\
# Changelog

What changed for the people who use Acme. The format is [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).

## [Unreleased]

[unreleased]: https://github.com/harbour/acme
"""
PACKAGE = """\
{
  "name": "acme",
  "version": "0.0.0",
  "private": true,
  "dependencies": {
    "acme-icons": "1.2"
  }
}
"""
PYPROJECT = """\
[project]
name = "acme"
version = "0.0.0"
requires-python = ">=3.11"
"""


def past(project: dict[str, str]) -> list[Change]:
    """Up to v1.3.0, which is deployed everywhere.

    Args:
        project: the files with which the project is released, by path.
    """
    return [
        Change(0, "Initial commit", (Commit("Initial commit", _start(), "ada"),)),
        squash(
            201,
            "feat: items over HTTP, kept in SQLite",
            "ada",
            add("app/", "migrations/0001"),
            note("Added", "Items over HTTP (#201)"),
        ),
        squash(
            203,
            "feat: items have prices",
            "kofi",
            add("migrations/0002"),
            note("Added", "Prices (#203)"),
            body="ACME-12",
        ),
        squash(204, "test: the parts on their own", "noor", add("tests/__init__", "tests/shop", "tests/unit")),
        squash(
            206,
            "feat: items have a stock",
            "lin",
            add("migrations/0003"),
            note("Added", "Stock (#206)"),
            body="ACME-31",
        ),
        squash(207, "chore(release): 1.2.0", "ada", release("1.2.0", "", "2026-08-03"), tag="v1.2.0"),
        squash(
            209, "feat: categories", "kofi", add("migrations/0004"), note("Added", "Categories (#209)"), body="ACME-47"
        ),
        squash(211, "test: the shop end to end, and a smoke test", "noor", add("tests/e2e", "tests/smoke")),
        squash(
            212, "feat: orders are kept", "lin", add("migrations/0005"), note("Added", "Orders (#212)"), body="ACME-58"
        ),
        squash(214, "perf: an index on names", "kofi", add("migrations/0006"), body="ACME-66"),
        squash(216, "ci: a lint that needs no installation", "noor", add("tools/")),
        squash(
            218,
            "fix: health looks into the database",
            "lin",
            note("Fixed", "Health tells the truth (#218)"),
            replace("README.md", "Operators use", "`/health` looks into the database. Operators use"),
            body="ACME-71",
        ),
        squash(221, "chore: release with Pilothouse", "ada", *(write(path, text) for path, text in project.items())),
        squash(223, "chore(release): 1.3.0", "ada", release("1.3.0", "1.2.0", "2026-09-14"), tag="v1.3.0"),
    ]


def _start() -> tuple[Edit, ...]:
    return (
        write("CHANGELOG.md", CHANGELOG),
        write("package.json", PACKAGE),
        write("pyproject.toml", PYPROJECT),
        add("README.md", ".gitignore"),
    )


FAST_SEARCH = (
    """\
        with self._open() as connection:
            rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM items ORDER BY id DESC LIMIT 200")
            found = [dict(row) for row in rows]
        return [item for item in found if query.lower() in str(item["name"]).lower()]
""",
    """\
        found = "WHERE instr(lower(name), lower(?)) ORDER BY id DESC LIMIT 200"
        with self._open() as connection:
            rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM items {found}", (query,))
            return [dict(row) for row in rows]
""",
)
TESTS = """
## Tests

    for s in unit e2e smoke; do python3 -m unittest discover -s tests/$s -t .; done
"""
EMPTY_NAME_TEST = """
    def test_an_item_with_an_empty_name_is_rejected(self) -> None:
        with self.assertRaises(Rejected):
            self.store.add({"name": " ", "price": 1200})
"""
NEGATIVE_PRICE_TEST = """
    def test_a_negative_price_is_refused(self) -> None:
        self.assertEqual(self.post("/items", {"name": "Anchor", "price": -1})[0], 400)
"""
FILTERS_ROUTE = """\
            case "GET", path if path.startswith("/filters/"):
                label = path.removeprefix("/filters/")
                found = [item for item in self.store.items() if label in str(item["labels"]).split()]
                return Answer(200, json.dumps(found))
            case "POST", "/items":
"""
FILTERS_TEST = """
    def test_a_saved_filter_finds_the_items_with_its_label(self) -> None:
        self.post("/items", {"name": "Anchor", "price": 1200, "labels": "heavy iron"})
        self.post("/items", {"name": "Buoy", "price": 300, "labels": "light"})
        self.assertEqual([item["name"] for item in json.loads(self.get("/filters/iron")[1])], ["Anchor"])
"""
ESCAPE_TEST = """
    def test_names_are_escaped_on_the_homepage(self) -> None:
        self.post("/items", {"name": "<b>Anchor", "price": 1200})
        self.assertIn("<li>&lt;b&gt;Anchor</li>", self.get("/")[1])
"""
RED_TEST = """
    def test_the_homepage_tells_how_many_items_there_are(self) -> None:
        self.assertIn("0 items", self.get("/")[1])
"""


def append(path: str, text: str) -> Edit:
    """Adds to the end of a file."""
    return lambda tree: tree.update({path: tree[path] + text})


def since() -> list[Change]:
    """What main has gained since v1.3.0: two features, three fixes and what goes with them."""
    return [
        squash(
            231,
            "feat(search): faster search",
            "kofi",
            replace("app/store.py", *FAST_SEARCH),
            note("Added", "Faster search: the database looks, not the server (#231)"),
            body="The database finds the items now; before, all of them were read.\n\nACME-101",
            head="faster-search",
        ),
        squash(
            232,
            "fix: an empty name is refused",
            "lin",
            replace("app/store.py", "not isinstance(name, str) or", "not isinstance(name, str) or not name.strip() or"),
            append("tests/unit/test_store.py", EMPTY_NAME_TEST),
            note("Fixed", "An item with an empty name is refused (#232)"),
            body="Fixes ACME-104",
            head="empty-name",
        ),
        squash(
            233,
            "docs: how to run the tests",
            "noor",
            append(
                "README.md",
                "\n## Tests\n\n    for s in unit e2e smoke; do python3 -m unittest discover -s tests/$s -t .; done\n",
            ),
            head="docs-tests",
        ),
        squash(
            234,
            "build(deps): bump acme-icons from 1.2 to 1.3",
            "dependabot",
            replace("package.json", '"acme-icons": "1.2"', '"acme-icons": "1.3"'),
            body="Bumps acme-icons from 1.2 to 1.3.",
            head="dependabot/npm_and_yarn/acme-icons-1.3",
            labels=("dependencies",),
        ),
        squash(
            235,
            "fix(api): a negative price is refused",
            "kofi",
            replace("app/store.py", "not isinstance(price, int):", "not isinstance(price, int) or price < 0:"),
            append("tests/e2e/test_shop.py", NEGATIVE_PRICE_TEST),
            note("Fixed", "A negative price is refused (#235)"),
            body="Fixes ACME-106",
            head="negative-price",
        ),
        Change(
            236,
            "feat: saved filters",
            (
                Commit(
                    "feat: saved filters\n\nItems have labels, and a filter finds them.\n\nACME-102", _filters(), "lin"
                ),
                Commit("test: saved filters over HTTP", (append("tests/e2e/test_shop.py", FILTERS_TEST),), "lin"),
            ),
            how="merge",
            head="saved-filters",
            body="Items have labels, and a filter finds them.\n\nACME-102",
            reviewer="noor",
            since=3,
        ),
        squash(
            237,
            "fix: item names are escaped on the homepage",
            "ada",
            replace("app/server.py", "import argparse\nimport json", "import argparse\nimport html\nimport json"),
            replace("app/server.py", "<li>{item['name']}</li>", "<li>{html.escape(str(item['name']))}</li>"),
            append("tests/e2e/test_shop.py", ESCAPE_TEST),
            note("Fixed", "Item names are escaped on the homepage (#237)"),
            body="Fixes ACME-109",
            head="escape-names",
        ),
    ]


def _filters() -> tuple[Edit, ...]:
    return (
        add("migrations/0007"),
        replace("app/store.py", '"stock", "category")', '"stock", "category", "labels")'),
        replace(
            "app/store.py",
            '(name, price) VALUES (?, ?)", (name, price))',
            '(name, price, labels) VALUES (?, ?, ?)", row)',
        ),
        replace(
            "app/store.py",
            '            raise Rejected("an item has a name and a price in cents")\n',
            '            raise Rejected("an item has a name and a price in cents")\n'
            '        row = (name, price, str(item.get("labels", "")))\n',
        ),
        replace("app/server.py", '            case "POST", "/items":\n', FILTERS_ROUTE),
        note("Added", "Saved filters: items have labels (#236)"),
    )


def red() -> Change:
    """What the fault `tests-red` adds to main: unit tests and lint pass, the end-to-end tests do not."""
    return squash(
        238,
        "test: the homepage tells how many items there are",
        "noor",
        append("tests/e2e/test_shop.py", RED_TEST),
        head="count-items",
    )


def contracting() -> Change:
    """What a world with a contracting migration has on main: the column may go once no running code reads it."""
    return squash(
        239,
        "refactor: items have labels in place of a category",
        "lin",
        add("migrations/0008"),
        replace("app/store.py", '"stock", "category", "labels")', '"stock", "labels")'),
        note("Changed", "Labels take the place of categories (#239)"),
        body="ACME-110",
        head="drop-category",
    )


def beside() -> list[Change]:
    """What is not on main: a breaking change on the branch next, and an open pull request."""
    breaking = (
        "feat!: the list of items is an object\n\nThere is room for a total and a next page.\n\n"
        'BREAKING CHANGE: GET /items answers {"items": [...]} instead of a list.\nRefs: ACME-120'
    )
    listed = 'json.dumps(self.store.items(parse_qs(url.query).get("q", [""])[0]))'
    wrapped = 'json.dumps({"items": self.store.items(parse_qs(url.query).get("q", [""])[0])})'
    return [
        Change(
            0,
            "feat!: the list of items is an object",
            (Commit(breaking, (replace("app/server.py", listed, wrapped),), "kofi"),),
            how="branch",
            head="next",
        ),
        Change(
            240,
            "feat: a dark homepage",
            (Commit("feat: a dark homepage\n\nACME-115", (_dark(),), "noor"),),
            how="open",
            head="dark-homepage",
            body="Not before the designers have seen it.\n\nACME-115",
            labels=("enhancement",),
        ),
    ]


def _dark() -> Edit:
    title = "<!doctype html><title>Acme</title>"
    return replace("app/server.py", title, f"{title}<style>body{{{{background:#111;color:#eee}}}}</style>")


ISSUES = [
    Issue(225, "The homepage has no icon", "noor", ("low",), "Browsers ask for /favicon.ico and get a 404."),
    Issue(229, "Prices are shown without a currency", "lin", ("low", "bug"), "Cents of what?"),
    Issue(219, "Search is slow", "kofi", ("bug", "medium"), "Two seconds for 10 000 items."),
]
SOLVED = 219
LABELS = {
    "bug": ("d73a4a", "Something is not working"),
    "enhancement": ("a2eeef", "New feature or request"),
    "dependencies": ("0366d6", "Updates a dependency"),
    "critical": ("b60205", "Nothing ships before this is dealt with"),
    "high": ("d93f0b", "Nothing ships before this is dealt with"),
    "medium": ("fbca04", "Soon"),
    "low": ("c2e0c6", "When there is time"),
    "next-release": ("0e8a16", "Meant for the next release"),
}
