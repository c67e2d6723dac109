-- phase: expand
-- undo: code
ALTER TABLE items ADD COLUMN price INTEGER NOT NULL DEFAULT 0;
