"""Observe tools: each reads the world and changes nothing in it."""

from pilothouse_tools.observe import base, database, forge, git, health, operations, suites, version

OBSERVERS = (
    *base.TOOLS,
    *git.TOOLS,
    *version.TOOLS,
    *forge.TOOLS,
    *suites.TOOLS,
    *database.TOOLS,
    *health.TOOLS,
    *operations.TOOLS,
)
