"""A day of shifts in the history, made by the database itself: drives, stops, noise, silence."""

import time

import asyncpg

_ROWS = """
INSERT INTO locations (driver_id, recorded_at, received_at, latitude, longitude, speed,
                       heading, accuracy, order_id)
SELECT 'shift-' || driver, at, at + interval '0.4 s',
       -- Ten minutes at 36 km/h, then five of standing, with 3 m of noise.
       53.3 + driver % 97 * 0.002 + driven * 0.00045 + noise * 0.00003,
       -2.9 + driver % 89 * 0.003 + driven * 0.0001 + noise2 * 0.00003,
       CASE WHEN step % 180 < 120 THEN 36 + noise * 4 ELSE 0 END, step % 360, 5, NULL
FROM generate_series(0, $1::int - 1) AS step,
     LATERAL (
         SELECT ((now() AT TIME ZONE 'utc')::date - 1) AT TIME ZONE 'utc'
                + step * interval '5 s' AS at
     ) AS moment,
     -- There and back: a shift stays in its town.
     LATERAL (
         SELECT abs((step / 180 * 120 + least(step % 180, 120)) % 2400 - 1200) AS driven
     ) AS way,
     generate_series(1, $2::int) AS driver,
     LATERAL (
         SELECT (hashint4(step * 31 + driver) % 1000) / 1000.0 AS noise,
                (hashint4(step * 17 + driver * 7) % 1000) / 1000.0 AS noise2
     ) AS n
"""


async def add_shifts(connection: asyncpg.Connection, drivers: int, points: int) -> float:
    """Yesterday of `drivers`, a point every 5 s, in the order in which it would have come.

    Returns the seconds it took.
    """
    begin_s = time.monotonic()
    await connection.execute(
        "SELECT fleetline_ensure_partitions(ARRAY[(now() at time zone 'utc')::date - 1])"
    )
    await connection.execute(_ROWS, points, drivers)
    await connection.execute("ANALYZE locations")
    return time.monotonic() - begin_s
