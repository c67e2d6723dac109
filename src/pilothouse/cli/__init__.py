"""The command line: translates arguments into calls of the facade, and its answers into text or JSON."""
