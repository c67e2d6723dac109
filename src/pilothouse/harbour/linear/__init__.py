"""The sandbox's Linear: an MCP server with Linear's own tool names, whose memory is one SQLite file."""
