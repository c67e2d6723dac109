"""The playbook: workflows, personas and prompt templates: found, parsed, checked. Nothing here runs anything."""
