"""Observe tools: each reads the world and changes nothing in it."""

from pilothouse_tools.observe import (
    base,
    checks,
    database,
    forge,
    git,
    health,
    operations,
    present,
    secrets,
    slices,
    suites,
    touched,
    version,
)

OBSERVERS = (
    *base.TOOLS,
    *git.TOOLS,
    *slices.TOOLS,
    *touched.TOOLS,
    *secrets.TOOLS,
    *version.TOOLS,
    *forge.TOOLS,
    *suites.TOOLS,
    *database.TOOLS,
    *health.TOOLS,
    *operations.TOOLS,
    *present.TOOLS,
    *checks.TOOLS,
)
