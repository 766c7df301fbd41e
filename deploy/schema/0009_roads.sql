-- Speeds on the roads, as the fleet's own trips show them (`fleetline roads learn`). Sums, of which
-- older days weigh less; the same with and without TimescaleDB. They name the map's own nodes, so
-- they outlive a graph.

CREATE TABLE road_speeds (
    vehicle text NOT NULL,
    from_node bigint NOT NULL,
    to_node bigint NOT NULL,
    -- 0-23: hours of working days, 24-47: of Saturdays and Sundays, UTC.
    slot smallint NOT NULL CHECK (slot BETWEEN 0 AND 47),
    metres real NOT NULL,
    -- What the map's own speeds make of these metres, and what it took.
    expected_s real NOT NULL,
    observed_s real NOT NULL,
    PRIMARY KEY (vehicle, from_node, to_node, slot)
);

-- Every day that was learned from, and what came of it.
CREATE TABLE road_lessons (
    vehicle text NOT NULL,
    day date NOT NULL,
    trips integer NOT NULL,
    -- Of the trips of this day, before any of it was learned: seconds under way, and the sum of
    -- what the speeds in use and the newly learned ones were off. NULL: it was not judged.
    under_way_s double precision NOT NULL,
    off_before_s double precision,
    off_after_s double precision,
    kept boolean NOT NULL,
    learned_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (vehicle, day)
);
