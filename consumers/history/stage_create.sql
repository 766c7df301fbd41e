-- Rows that may be stored already go through this table; it is the connection's own.
CREATE TEMPORARY TABLE IF NOT EXISTS locations_stage (LIKE locations) ON COMMIT DELETE ROWS
