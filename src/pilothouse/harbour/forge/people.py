"""Who has an account at the forge."""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.harbour.changes import PEOPLE
from pilothouse.harbour.history import CEO

VIEWER = "ceo"
OWNER = "harbour"
NAME = "acme"
SITE = "https://github.com"
API = "https://api.github.com"
REPOSITORY = f"{SITE}/{OWNER}/{NAME}"
REPOSITORY_API = f"{API}/repos/{OWNER}/{NAME}"


@dataclass(frozen=True, slots=True)
class Account:
    """A user, a bot or the organization."""

    number: int
    login: str
    kind: str
    name: str
    email: str


def _accounts() -> dict[str, Account]:
    found = {OWNER: Account(1, OWNER, "Organization", "Harbour", "")}
    for number, (login, person) in enumerate(({VIEWER: CEO} | PEOPLE).items(), 2):
        name, _, email = person.rstrip(">").partition(" <")
        kind = "Bot" if name.endswith("[bot]") else "User"
        found[login] = Account(number, login, kind, name, email)
    return found


ACCOUNTS = _accounts()


def signature(login: str) -> str:
    """An account as git writes an author."""
    return f"{ACCOUNTS[login].name} <{ACCOUNTS[login].email}>"


def by_email(email: str) -> Account | None:
    """The account that commits with this address."""
    return next((account for account in ACCOUNTS.values() if email and account.email == email), None)
