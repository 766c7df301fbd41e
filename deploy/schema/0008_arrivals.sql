-- Arrivals: what was said of them, and how long ways take without a road graph.
-- Written by `consumers.arrivals` alone.

-- What was said of an order, at most once a minute. When it really arrived stands in `orders`.
CREATE TABLE arrival_log (
    order_id text COLLATE "C" NOT NULL,
    -- Minutes since 1970 of `at`.
    minute integer NOT NULL,
    at timestamptz NOT NULL,
    driver_id text COLLATE "C" NOT NULL,
    method text NOT NULL,
    -- Seconds left: as the road engine or the pace has it, and as it was said, with its interval.
    model_s real NOT NULL,
    remaining_s real NOT NULL,
    low_s real NOT NULL,
    high_s real NOT NULL,
    PRIMARY KEY (order_id, minute)
);
CREATE INDEX arrival_log_at ON arrival_log (at);

-- Samples of trips that pace is learned from: a function of the history and of orders' vehicles.
CREATE TABLE pace_trips (
    driver_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    -- Of an order that the driver had then; NULL: not known.
    vehicle text,
    -- Metres driven for one of the straight line; NULL: a round tour.
    detour real,
    -- Distance, speed until then (NaN: not known), seconds to the end: three for each sample.
    samples real[] NOT NULL,
    PRIMARY KEY (driver_id, started_at)
);
CREATE INDEX pace_trips_started_at ON pace_trips (started_at);

-- What they say (`common.roads.pace.PaceFit`), of each kind of vehicle, and of all under ''.
CREATE TABLE pace_fits (
    vehicle text PRIMARY KEY,
    fit jsonb NOT NULL,
    learned_at timestamptz NOT NULL
);
