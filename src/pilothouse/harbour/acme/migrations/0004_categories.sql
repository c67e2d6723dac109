-- phase: expand
-- undo: code
CREATE TABLE categories (name TEXT PRIMARY KEY);
ALTER TABLE items ADD COLUMN category TEXT NOT NULL DEFAULT 'other';
