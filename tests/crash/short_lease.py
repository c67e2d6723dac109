"""The real command with a lease of two seconds instead of thirty: a test need not wait half a minute for it to run out."""

from __future__ import annotations

import sys

from pilothouse import app
from pilothouse.cli.main import main

if __name__ == "__main__":
    app.LEASE_SECONDS = 2
    main(sys.argv[1:])
