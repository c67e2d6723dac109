"""Draft tools: pure; they turn evidence into prose for people."""

from pilothouse_tools.draft import changelog, notes, notices

DRAFTERS = (*changelog.TOOLS, *notes.TOOLS, *notices.TOOLS)
