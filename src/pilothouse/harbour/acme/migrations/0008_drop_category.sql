-- phase: contract
-- undo: restore
-- Labels have taken the place of the one category (ACME-110). Code up to 1.3.0 still reads the column.
ALTER TABLE items DROP COLUMN category;
DROP TABLE categories;
