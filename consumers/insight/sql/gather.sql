-- Takes $1 marks at most.
DELETE FROM insight_late WHERE id IN (
    SELECT id FROM insight_late ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING marks
