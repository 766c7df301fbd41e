-- Cells of the hours in [$1, $2), at a coarser resolution: `(cell & $3) | $4`.
-- Filled in: {value}.
SELECT parent, {value} AS value FROM (
    SELECT (cell & $3::bigint) | $4::bigint AS parent, {columns}
    FROM driver_cell_hours WHERE hour >= $1 AND hour < $2
    {group}
) AS c
GROUP BY parent HAVING {value} > 0
ORDER BY value DESC LIMIT $5
