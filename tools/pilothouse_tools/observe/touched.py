"""What a range touches that may change the rules or destroy data: it needs an additional approval (I11, I21).

By path and by content, never by what a commit message says. Too much is better than too little here: a path that only
looks like CI asks one more question, one that is missed asks none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilothouse.canonical import Json
from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

_MOST = 32_000_000  # bytes of changed paths
_SCRIPT = 2_000_000  # bytes of a migration; a longer one counts as destructive, since nobody reads it
_SHOWN = 200  # names a kind in the facts; what is left out is counted in the last one

_PATHS = {
    "ci": re.compile(
        r"(^|/)\.(github|gitlab|gitea|forgejo|circleci|buildkite|woodpecker|ci|githooks|husky)/"
        r"|(^|/)(\.gitlab-ci[^/]*|\.travis|\.drone|\.woodpecker|azure-pipelines[^/]*|bitbucket-pipelines"
        r"|\.pre-commit-config|cloudbuild[^/]*|appveyor|\.appveyor)\.ya?ml$"
        r"|(^|/)(Jenkinsfile[^/]*|CODEOWNERS|\.gitattributes|\.gitmodules)$",
        re.IGNORECASE,
    ),
    "policy": re.compile(
        r"(^|/)(pilothouse\.ya?ml|approvals\.ya?ml|\.mcp\.json|CODEOWNERS)$|(^|/)(agents|\.claude|\.pilothouse)/"
        r"|(^|(?<!\.github)(?<!\.gitea)(?<!\.forgejo)/)workflows/",  # a forge's own are CI
        re.IGNORECASE,
    ),
    "prompts": re.compile(
        r"(^|/)prompts/|(^|/)(CLAUDE|AGENTS|GEMINI|copilot-instructions)\.md$|(^|/)\.(cursorrules|windsurfrules)$"
        r"|(^|/)\.cursor/",
        re.IGNORECASE,
    ),
    "lock_files": re.compile(
        r"(^|/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|deno\.lock|poetry\.lock"
        r"|uv\.lock|pdm\.lock|Pipfile\.lock|pylock[^/]*\.toml|Cargo\.lock|go\.sum|Gemfile\.lock|composer\.lock|mix\.lock"
        r"|gradle\.lockfile|packages\.lock\.json|flake\.lock|Package\.resolved|[^/]*requirements[^/]*\.txt)$",
        re.IGNORECASE,
    ),
}
_SQL = re.compile(r"\.(sql|ddl|psql|pgsql|mysql|plsql|tsql|cql|hql)(\.[^/]*)?$", re.IGNORECASE)
_MIGRATION = re.compile(_SQL.pattern + r"|(^|/)(migrations?|migrate|alembic|db)/", re.IGNORECASE)
# Between two words of SQL comments may stand, too. Atomic: many of them one after another are read in one way only.
_GAP = r"(?:(?>\s|/\*.*?\*/|\*/|(?:--|#)[^\n]*\n))+"
_NAME = r"(?:\"[^\"]{0,200}\"|`[^`]{0,200}`|\[[^\]]{0,200}\]|[\w$.])+"
_AFTER = rf"(?:{_GAP}|(?<=[\"`\]]))"  # a name
# What MySQL and MariaDB run for all that it looks like a comment, also without a space: /*!50000DROP TABLE items*/
_RUN = re.compile(r"/\*M?!\d*")
# A line that is nothing but a comment, of words that end no string, no comment and no template that it may stand in.
_REMARK = re.compile(r"^[ \t]*--[ \t][\w \t.,;:()+/=?!-]*(?=\r?$)", re.MULTILINE)
_ONLY_SQL = re.compile(r"\.(sql|ddl|psql|pgsql|mysql|plsql|tsql|cql|hql)$", re.IGNORECASE)
# What stands in a text, or in another comment, counts: a parser that is wrong about where one ends would miss what the
# database runs. A foreign key that says what becomes of its rows is the one frequent word that means nothing.
_DESTRUCTIVE = re.compile(
    rf"\bON{_GAP}(?:DELETE|UPDATE){_GAP}(?:CASCADE|RESTRICT|NO{_GAP}ACTION|SET{_GAP}(?:NULL|DEFAULT))\b"
    r"|(?P<destroys>\bdrop(?:_\w+|(?-i:[A-Z])\w*)?\b(?:\s+\w+)?|\btruncate\w*|\bdelete(?:\s+from|model|_all)?\b|\bdestroy_all\b"
    rf"|\breplace{_GAP}into\b|\bmerge{_GAP}into\b|\bupdate\b.{{1,400}}?\bset\b|\bupdate_all\b|\.del\(\)"
    rf"|\bor{_GAP}replace{_GAP}(?:(?:global|local|temp|temporary|transient|volatile|unlogged|external|hybrid){_GAP})*"
    r"(?:table|database|schema|sequence)\b"
    # Another type may hold less than the one before.
    rf"|\balter{_GAP}column{_GAP}(?:if{_GAP}exists{_GAP})?{_NAME}{_AFTER}"
    rf"(?:set{_GAP}data{_GAP}type\b|(?!(?:set|add|drop|reset|restart|comment|rename|visible|invisible)\b)\w)"
    r"|\balter\s+(?!(?:table|type|view|index|sequence|function|procedure|trigger|domain|user|role|schema|database)\b)"
    rf"{_NAME}{_AFTER}(?:set{_GAP}data{_GAP})?type\b"
    rf"|\btable{_GAP}(?:if{_GAP}exists{_GAP})?{_NAME}{_AFTER}(?:modify|change)\b"
    rf"|,(?:{_GAP})?modify\b|,(?:{_GAP})?change{_GAP}(?:column\b|{_NAME}{_AFTER}{_NAME}{_AFTER}\w)"
    r"|\balter_column\b.{1,400}?\btype_\s*=|\bchange_?column\b"
    r"|\bremove_?(?:columns?|field|index|constraint|reference|belongs_to|timestamps|foreign_key|model)\b|\bRunSQL\b)",
    re.IGNORECASE | re.DOTALL,
)


def kinds_of(path: str) -> tuple[str, ...]:
    """Which kinds of rule a path belongs to: ci, policy, prompts, lock_files.

    A submodule or a link may stand where a folder of rules would.
    """
    return tuple(kind for kind, pattern in _PATHS.items() if pattern.search(path) or pattern.search(f"{path}/"))


def destructive(script: str, *, sql: bool = True) -> tuple[str, ...]:
    """The places of a migration that destroy data: ``line 3: DROP COLUMN``.

    Args:
        script: its text.
        sql: whether it is SQL and nothing else: then a line that is a comment is let be.
    """
    script = _RUN.sub(lambda found: " " * len(found.group()), script)
    script = _REMARK.sub("", script) if sql else script
    return tuple(
        f"line {script.count(chr(10), 0, found.start()) + 1}: {' '.join(found.group().split()).upper()[:40]}"
        for found in _DESTRUCTIVE.finditer(script)
        if found["destroys"]
    )


def _touched(context: Context, arguments: Arguments) -> Observation:
    older, newer = arguments.text("from"), arguments.text("to")
    repo = context.repo
    repo.require(newer)
    repo.require(older)
    found: dict[str, list[str]] = {kind: [] for kind in (*_PATHS, "destructive_sql")}
    # Renames are told as what is gone and what is new: a rule that moves is a rule that changes.
    done = repo.run(
        "diff-tree", "-r", "-z", "--name-status", "--no-renames", "--end-of-options", older, newer, cap=_MOST
    )
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git diff-tree failed, or said too much (exit {done.code})")
    fields = done.stdout.split(b"\0")[:-1]
    for status, raw in zip(fields[::2], fields[1::2], strict=True):
        path = raw.decode("utf-8", "backslashreplace")
        for kind in kinds_of(path):
            found[kind].append(path)
        if status != b"D" and (_MIGRATION.search(path) or _MIGRATION.search(f"{path}/")):
            found["destructive_sql"] += _destroyed(context, newer, path)
    facts: dict[str, Json] = {kind: _bounded(names) for kind, names in found.items()}
    told = ", ".join(f"{len(names)} {kind.replace('_', ' ')}" for kind, names in found.items() if names)
    return Observation(facts, newer, told or "touches no rule and destroys no data")


def _destroyed(context: Context, commit: str, path: str) -> list[str]:
    content = context.repo.file(commit, path)
    if content is None:
        return [f"{path}: a link or a submodule, which nobody reads here"]
    if b"\0" in content:
        return [f"{path}: no text that could be read"] if _SQL.search(path) else []  # a picture
    if len(content) > _SCRIPT:
        return [f"{path}: too long to read"]
    found = destructive(content.decode("utf-8", "replace"), sql=_ONLY_SQL.search(path) is not None)
    return [f"{path}, {place}" for place in found]


def _bounded(names: list[str]) -> list[Json]:
    return [*names[:_SHOWN], f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else [*names]


TOOLS = (
    observes(
        "git.touched",
        "What a range touches that needs an additional approval: CI, policy, prompts, lock files, destructive SQL.",
        {"from": Argument("sha", about="released now"), "to": Argument("sha", about="to be released")},
        {"ci": "names", "policy": "names", "prompts": "names", "lock_files": "names", "destructive_sql": "names"},
        _touched,
    ),
)
