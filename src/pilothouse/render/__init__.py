"""Words and lines for people, rendered by code from recorded facts; nothing here decides or reads the world."""
