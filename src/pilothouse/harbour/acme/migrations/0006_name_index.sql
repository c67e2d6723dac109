-- phase: expand
-- undo: code
CREATE INDEX items_by_name ON items (name);
