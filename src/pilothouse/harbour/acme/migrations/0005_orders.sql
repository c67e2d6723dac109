-- phase: expand
-- undo: code
CREATE TABLE orders (id INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items (id), placed TEXT NOT NULL);
