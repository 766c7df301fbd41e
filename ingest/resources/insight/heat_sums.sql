-- Sums of the cells of the hours in [$1, $2), at a coarser resolution: `(cell & $3) | $4`. Those of
-- several databases are added up by the reader. Filled in: {sums}.
SELECT parent, {sums} FROM (
    SELECT (cell & $3::bigint) | $4::bigint AS parent, {columns}
    FROM driver_cell_hours WHERE hour >= $1 AND hour < $2
    {group}
) AS c
GROUP BY parent ORDER BY 2 DESC LIMIT $5
