"""Act tools: each changes the world by one effect that can be looked for."""

from pilothouse_tools.act import database, deploy, forge, git, notify, promotion, record, tickets

ACTORS = (
    *git.TOOLS,
    *promotion.TOOLS,
    *record.TOOLS,
    *tickets.TOOLS,
    *deploy.TOOLS,
    *database.TOOLS,
    *forge.TOOLS,
    *notify.TOOLS,
)
