"""The ledger: append-only, hash-chained, the one truth; SQLite and memory behind one contract."""
