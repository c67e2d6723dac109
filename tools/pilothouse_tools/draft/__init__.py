"""Draft tools: they turn evidence into prose and change nothing; notes that a person left are read, never written."""

from pilothouse_tools.draft import changelog, notes, notices

DRAFTERS = (*changelog.TOOLS, *notes.TOOLS, *notices.TOOLS)
