-- What the engine knows about the read models. The tables of the views are not here: each generation of them has a
-- schema of its own, made by the views themselves.

-- One row for each generation of the read models. Lease, epoch and checkpoint share the row, so that the one UPDATE
-- which begins every write proves all three at once.
CREATE TABLE bookstock.projection (
    generation   integer PRIMARY KEY CHECK (generation > 0),
    -- The version of the code that folds; another version must not write into these tables.
    fold_version integer NOT NULL,
    -- The last event that is folded in; 0 and no event id while there is none.
    position     bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    event_id     uuid,
    -- Who may write, and until when. Every new owner raises the epoch: it fences off the one before.
    epoch        bigint NOT NULL DEFAULT 0,
    owner        text,
    lease_until  timestamptz,
    CHECK ((position = 0) = (event_id IS NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL))
);

-- The generation that serves: a single row.
CREATE TABLE bookstock.active (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    generation integer NOT NULL REFERENCES bookstock.projection
);

GRANT USAGE ON SCHEMA bookstock TO bookstock_reader;
GRANT SELECT ON bookstock.projection, bookstock.active TO bookstock_reader;
