"""What one key of pilothouse.yml says about another: rules that no single value can break."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.config import models, shapes
from pilothouse.config.policy import Needed, Policy
from pilothouse.config.scalars import looks_secret
from pilothouse.config.triggers import PhaseReached

SHORT_WATCH_MS = 15 * 60_000  # REL-10: a shorter window only by policy
KNOWN_VERSION_FILES = ("package.json", "pyproject.toml")

# Which placeholders a command may hold: what the tool that runs it knows. All but {names} are one argument.
ANYWHERE = ("environment", "commit")
PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "pending": ANYWHERE,
    "migrate": (*ANYWHERE, "names", "key"),
    "backup": (*ANYWHERE, "key"),
    "restore": (*ANYWHERE, "key"),
    "deploy": (*ANYWHERE, "version", "key"),
    "suite": (*ANYWHERE, "version"),
    "logs": ANYWHERE,
    "settings": ANYWHERE,
}
EVERY_PLACEHOLDER = ("names", "key", "environment", "version", "commit")
_BRACED = re.compile(r"\{([A-Za-z_]+)\}")

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where in the file, what, and what to write instead."""

    place: Place
    message: str
    hint: str = ""


def faults(configuration: shapes.Configuration) -> Iterator[Fault]:
    """Every rule between keys that the configuration breaks, in the order of the file's sections."""
    for name, product in configuration.products.items():
        at: Place = ("products", name)
        yield from _environments(product, at)
        yield from _commands(product, at)
        yield from _versioning(product, at)
        yield from _readiness(product, at)
        yield from _watch(product, configuration.policy, at)
    yield from _products(configuration.products)
    yield from _people(configuration)
    yield from _held(configuration)
    yield from _started_alone(configuration)
    yield from _models(configuration)


def _named(product: shapes.Product) -> list[tuple[str, shapes.Environment]]:
    both = (("staging", product.environments.staging), ("production", product.environments.production))
    return [(name, environment) for name, environment in both if environment is not None]


def _environments(product: shapes.Product, at: Place) -> Iterator[Fault]:
    gh_only = set(product.forge.credentials) if product.forge else set()
    for name, environment in _named(product):
        here = (*at, "environments", name)
        yield from _repeated(environment.credentials, (*here, "credentials"))
        for index, variable in enumerate(environment.credentials):
            if variable in gh_only:
                place = (*here, "credentials", index)
                yield Fault(place, f"{variable} is the forge's: only gh receives it", "give the environment its own")
        health = environment.health
        if health.deadline < health.every * (health.times - 1):
            message = f"{health.times} looks {health.every} ms apart do not fit into the deadline"
            yield Fault((*here, "health", "deadline"), message, "a longer deadline, or fewer looks")
        promoted = product.promotion is not None and name == "production"  # there the base branch is what deploys
        pushed = environment.deploy.branch if isinstance(environment.deploy, shapes.PushDeploy) else ""
        if pushed == product.base and not promoted:
            message = f"the deploy branch is the base branch '{product.base}': a deployment would move what is released"
            yield Fault((*here, "deploy", "branch"), message, f"a branch of its own, for example deploy/{name}")
    yield from _apart(product, (*at, "environments"))
    if product.forge:
        yield from _repeated(product.forge.credentials, (*at, "forge", "credentials"))
        for index, variable in enumerate(product.forge.environment):
            if looks_secret(variable):
                place = (*at, "forge", "environment", index)
                yield Fault(place, f"{variable} looks like a secret", "list it under forge.credentials")


def _apart(product: shapes.Product, at: Place) -> Iterator[Fault]:
    """Staging and production may share nothing that an act could mistake (I12)."""
    staging, production = product.environments.staging, product.environments.production
    if staging is None:
        return
    here = (*at, "production")
    if staging.url == production.url:
        yield Fault((*here, "url"), "production has the address of staging", "each environment has its own address")
    if isinstance(staging.deploy, shapes.PushDeploy) and isinstance(production.deploy, shapes.PushDeploy):  # noqa: SIM102
        if staging.deploy.branch == production.deploy.branch:
            yield Fault(
                (*here, "deploy", "branch"), "production deploys from staging's branch", "one branch an environment"
            )
    if staging.database and production.database and staging.database.identity == production.database.identity:
        yield Fault(
            (*here, "database", "identity"), "production has the database of staging", "each has its own identity"
        )
    if (staging.database is None) != (production.database is None):
        without = "staging" if staging.database is None else "production"
        message = f"{without} has no database, the other environment has one: migrations could not be proven"
        yield Fault((*at, without), message, f"configure {without}.database, or neither")
    for index, variable in enumerate(production.credentials):
        if variable in staging.credentials:
            place = (*here, "credentials", index)
            yield Fault(place, f"staging could read production's {variable}", "give each environment its own variable")


def _repeated(names: Sequence[str], at: Place) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Fault((*at, index), f"'{name}' is listed twice", "leave one")


def _commands(product: shapes.Product, at: Place) -> Iterator[Fault]:
    for name, suite in product.suites.items():
        yield from _placeholders(suite.run, (*at, "suites", name, "run"), "suite")
    for name, environment in _named(product):
        here = (*at, "environments", name)
        if isinstance(environment.deploy, shapes.CommandDeploy):
            yield from _acting(environment.deploy, (*here, "deploy"), "deploy")
        if environment.logs:
            yield from _placeholders(environment.logs.run, (*here, "logs", "run"), "logs")
        if environment.settings:
            yield from _placeholders(environment.settings, (*here, "settings"), "settings")
        if environment.database:
            yield from _database(environment.database, (*here, "database"))


def _database(database: shapes.Database, at: Place) -> Iterator[Fault]:
    yield from _placeholders(database.pending, (*at, "pending"), "pending")
    needed = (
        ("migrate", database.migrate, "names"),
        ("backup", database.backup, "key"),
        ("restore", database.restore, "key"),
    )
    for use, command, placeholder in needed:
        yield from _acting(command, (*at, use), use)
        if f"{{{placeholder}}}" not in command.run:
            message = f"the command does not say what it acts on: {{{placeholder}}} is missing"
            yield Fault((*at, use, "run"), message, f'add the argument "{{{placeholder}}}"')


def _acting(command: shapes.Command | shapes.CommandDeploy, at: Place, use: str) -> Iterator[Fault]:
    yield from _placeholders(command.run, (*at, "run"), use)
    for key, argv in (("probe", command.probe), ("verify", command.verify)):
        if argv is not None:
            yield from _placeholders(argv, (*at, key), use)
            if argv == command.run:
                yield Fault((*at, key), f"{key} is the acting command itself", "a look may never change anything")


def _placeholders(argv: Sequence[str], at: Place, use: str) -> Iterator[Fault]:
    known = PLACEHOLDERS[use]
    for index, argument in enumerate(argv):
        for found in _BRACED.findall(argument):
            place = (*at, index)
            if argument != f"{{{found}}}" and found in EVERY_PLACEHOLDER:
                yield Fault(
                    place, f"{{{found}}} is only part of the argument", f'make "{{{found}}}" an argument of its own'
                )
            elif found in EVERY_PLACEHOLDER and found not in known:
                yield Fault(place, f"{{{found}}} is not known to this command", _listed(known))
            elif argument == f"{{{found}}}" and found not in known:
                yield Fault(place, f"unknown placeholder {{{found}}}", _listed(known))
            elif index == 0:
                yield Fault(place, "the program itself cannot be a placeholder", "name the program")


def _listed(known: Sequence[str]) -> str:
    return "known here: " + ", ".join(f"{{{name}}}" for name in known)


def _versioning(product: shapes.Product, at: Place) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, file in enumerate(product.versioning.files):
        place = (*at, "versioning", "files", index)
        if file.path in seen:
            yield Fault(place, f"'{file.path}' is listed twice", "leave one")
        seen.add(file.path)
        if not file.pattern:
            if file.path.rsplit("/", 1)[-1] not in KNOWN_VERSION_FILES:
                hint = f"write {{path: {file.path}, pattern: '__version__ = \"(.*)\"'}}"
                yield Fault(place, f"'{file.path}' needs a pattern around its version", hint)
            continue
        try:
            groups = re.compile(file.pattern).groups
        except re.error as error:
            yield Fault((*place, "pattern"), f"is not a regular expression: {error}")
            continue
        if groups != 1:
            yield Fault((*place, "pattern"), f"has {groups} groups", "exactly one group stands around the version")


def _readiness(product: shapes.Product, at: Place) -> Iterator[Fault]:
    readiness = product.readiness
    for key in ("checks", "allow_skipped", "blocker_labels"):
        yield from _repeated(getattr(readiness, key), (*at, "readiness", key))
    if product.forge is None and (readiness.checks or readiness.allow_skipped):
        yield Fault(
            (*at, "readiness"), "checks come from a forge, and none is configured", "add forge: {kind: github, …}"
        )


def _watch(product: shapes.Product, policy: Policy, at: Place) -> Iterator[Fault]:
    watch = product.watch
    if watch is None:
        return
    if watch.window < SHORT_WATCH_MS and not policy.allow_short_watch:
        message = "a watch is at least 15m, this one is shorter"
        yield Fault((*at, "watch", "window"), message, "a window of 15m or more, or policy.allow_short_watch: true")
    if watch.every * 2 > watch.window:
        yield Fault(
            (*at, "watch", "every"), "fewer than two looks fit into the window", "look more often, or watch longer"
        )
    if product.environments.production.metrics is None:
        message = "production has no metrics, so the watch could see nothing"
        yield Fault((*at, "watch"), message, "add environments.production.metrics: {path: /metrics}")


def _products(products: Mapping[str, shapes.Product]) -> Iterator[Fault]:
    """Two products of one repository may not meet in a tag, a branch or an address."""
    tags: dict[tuple[str, str], str] = {}
    places: dict[tuple[str, str], str] = {}
    for name, product in products.items():
        repository = product.forge.repository.lower() if product.forge else product.remote
        first = tags.setdefault((repository, product.versioning.tag_prefix), name)
        if first != name:
            place: Place = ("products", name, "versioning")
            message = f"its tags would be those of '{first}'"
            yield Fault(place, message, f"a tag_prefix of its own, for example {name}-v")
        for environment_name, environment in _named(product):
            for key, value in _targets(repository, environment):
                taken = places.setdefault((key, value), f"{name}.{environment_name}")
                if taken != f"{name}.{environment_name}" and not taken.startswith(f"{name}."):
                    here: Place = ("products", name, "environments", environment_name, *key.split("."))
                    yield Fault(here, f"is that of {taken}", "every environment of every product has its own")


def _targets(repository: str, environment: shapes.Environment) -> Iterator[tuple[str, str]]:
    yield "url", environment.url
    if isinstance(environment.deploy, shapes.PushDeploy):
        yield "deploy.branch", f"{repository}:{environment.deploy.branch}"
    if environment.database:
        yield "database.identity", environment.database.identity


def _people(configuration: shapes.Configuration) -> Iterator[Fault]:
    """Approvers are told apart by id, account and key; and what policy asks for can be given."""
    approvers = configuration.approvers
    for key, values in (
        ("id", [[item.id] for item in approvers]),
        ("accounts", [item.accounts for item in approvers]),
        ("ssh_key", [[" ".join(item.ssh_key.split()[:2])] if item.ssh_key else [] for item in approvers]),
    ):
        seen: dict[str, int] = {}
        for index, found in enumerate(values):
            for value in found:
                if seen.setdefault(value, index) != index:
                    message = f"{value[:40]} belongs to {approvers[seen[value]].id} already"
                    yield Fault(("approvers", index, key), message, "two approvers are two people")
    if not approvers:
        return  # nobody may approve: that is a policy, too
    policy = configuration.policy
    asked: dict[tuple[str, ...], Needed] = {
        ("approval",): policy.approval,
        ("override",): policy.override or policy.approval,
    } | {("additional", name): getattr(policy.additional, name) for name in type(policy.additional).model_fields}
    for place, needed in asked.items():
        there = sum(1 for item in approvers if needed.group in item.groups)
        if there < needed.number:
            message = f"{needed.number} of the group {needed.group} are needed, and there are {there}"
            yield Fault(("policy", *place, "group"), message, "name more approvers of that group, or ask for fewer")


def _started_alone(configuration: shapes.Configuration) -> Iterator[Fault]:
    """What starts runs without a person names products that there are, and what can be noticed."""
    products, known = configuration.products, f"products: {', '.join(configuration.products)}"
    for key, items in (("schedules", configuration.schedules), ("events", configuration.events)):
        for index, item in enumerate(items):
            place: Place = (key, index)
            if item.product not in products:
                yield Fault((*place, "product"), f"there is no product '{item.product}'", known)
            if (item.workflow or configuration.workflow) == "rollback":
                yield Fault((*place, "workflow"), "a rollback is not started by a clock or an event", "a person does")
    for index, event in enumerate(configuration.events):
        here: Place = ("events", index)
        if isinstance(event, PhaseReached):
            if event.of not in products:
                yield Fault((*here, "of"), f"there is no product '{event.of}'", known)
            elif event.of == event.product:
                yield Fault((*here, "of"), "a product would start itself again and again", "name another product")
        elif event.product in products and products[event.product].forge is None:
            yield Fault((*here, "on"), "milestones come from a forge, and none is configured", "add forge: {…}")


def _held(configuration: shapes.Configuration) -> Iterator[Fault]:
    """Freezes and manual checks are told apart by name, and hold products that there are."""
    seen: set[str] = set()
    for index, freeze in enumerate(configuration.policy.freezes):
        here: Place = ("policy", "freezes", index)
        if freeze.name in seen:
            yield Fault((*here, "name"), f"two freezes are called '{freeze.name}'", "an override names one of them")
        seen.add(freeze.name)
        yield from _repeated(freeze.products, (*here, "products"))
        for number, name in enumerate(freeze.products):
            if name not in configuration.products:
                known = ", ".join(configuration.products)
                yield Fault((*here, "products", number), f"there is no product '{name}'", f"products: {known}")
    for name, product in configuration.products.items():
        yield from _repeated([item.id for item in product.manual_checks], ("products", name, "manual_checks"))


def _models(configuration: shapes.Configuration) -> Iterator[Fault]:
    """A model's client gets its own key, and nobody else's."""
    if configuration.models is None:
        return
    variable = configuration.models.key_variable
    for name, product in configuration.products.items():
        named = [product.remote_token, *(product.forge.credentials if product.forge else ())]
        named += [item for _, environment in _named(product) for item in environment.credentials]
        named += [getattr(notice, "url_variable", None) for notice in product.notify]
        if variable in named:
            hint = "a model's key is a variable of its own"
            yield Fault(("models", "key_variable"), f"{variable} is a credential of the product '{name}'", hint)
    yield from (
        Fault(("models", *place), message, hint) for place, message, hint in models.faults(configuration.models)
    )
