-- phase: expand
-- undo: restore
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
