-- Orders: one row each, kept when they are over. Written by `common.orders.store` alone.
-- Redis has the active ones too (`common.orders.book`); this is the truth that it follows.
CREATE TABLE orders (
    order_id text COLLATE "C" PRIMARY KEY,
    -- Of the 64 books in Redis, the one that it stands in while it is active.
    bucket smallint NOT NULL,
    driver_id text COLLATE "C",
    vehicle text,
    pickup_latitude double precision,
    pickup_longitude double precision,
    dropoff_latitude double precision,
    dropoff_longitude double precision,
    ready_at timestamptz,
    promised_at timestamptz,
    state text NOT NULL,
    new_at timestamptz NOT NULL,
    assigned_at timestamptz,
    at_pickup_at timestamptz,
    picked_up_at timestamptz,
    arriving_at timestamptz,
    delivered_at timestamptz,
    cancelled_at timestamptz,
    over_at timestamptz GENERATED ALWAYS AS (coalesce(delivered_at, cancelled_at)) STORED,
    -- Metres driven for it, added up once it is over; NULL until then.
    distance_m double precision,
    updated_at timestamptz NOT NULL,
    -- Grows by one with each change: what is newer wins in Redis.
    version bigint NOT NULL,
    -- Whether Redis has been told of this version by `common.orders.keeper`.
    told boolean NOT NULL DEFAULT false,
    -- Whether the distance is still to be added up.
    closing boolean NOT NULL DEFAULT false,
    CHECK ((pickup_latitude IS NULL) = (pickup_longitude IS NULL)),
    CHECK ((dropoff_latitude IS NULL) = (dropoff_longitude IS NULL)),
    CHECK ((state IN ('delivered', 'cancelled')) = (over_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX orders_new_at ON orders (new_at, order_id);
CREATE INDEX orders_driver ON orders (driver_id, new_at, order_id) WHERE driver_id IS NOT NULL;
CREATE INDEX orders_state ON orders (state, new_at, order_id);
CREATE INDEX orders_active ON orders (bucket) WHERE over_at IS NULL;
CREATE INDEX orders_over_bucket ON orders (bucket, over_at) WHERE over_at IS NOT NULL;
CREATE INDEX orders_over ON orders (over_at) WHERE over_at IS NOT NULL;
CREATE INDEX orders_untold ON orders (updated_at) WHERE NOT told;
CREATE INDEX orders_closing ON orders (updated_at) WHERE closing;

-- Who was its driver since when: a journey has the fixes of each in its time.
CREATE TABLE order_drivers (
    order_id text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL,
    -- NULL: nobody, from then on.
    driver_id text COLLATE "C",
    PRIMARY KEY (order_id, since)
);
