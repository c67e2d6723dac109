-- phase: expand
-- undo: code
ALTER TABLE items ADD COLUMN stock INTEGER NOT NULL DEFAULT 0;
