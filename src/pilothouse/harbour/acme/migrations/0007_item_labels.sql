-- phase: expand
-- undo: code
-- Saved filters look for labels (ACME-102). Code that does not know the column is not disturbed by it.
ALTER TABLE items ADD COLUMN labels TEXT NOT NULL DEFAULT '';
CREATE INDEX items_by_label ON items (labels);
