"""The MCP server: an agent chat starts, watches and ends releases through it, and can approve none (FACE-3, APR-6).

It translates tools, prompts and resources into calls of the facade, and decides nothing. The SDK is slow to import, so
only ``pilothouse mcp`` loads the modules of this package.
"""
