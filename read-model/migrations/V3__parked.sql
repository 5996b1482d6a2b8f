-- Streams that wait for an operator: each at an event that could not be applied, while all others go on. Only the place
-- and the reason are here; a retry reads the stream again.
CREATE TABLE bookstock.parked (
    generation integer NOT NULL REFERENCES bookstock.projection ON DELETE CASCADE,
    book_id    bigint NOT NULL,
    -- The first event that is not applied.
    revision   bigint NOT NULL,
    position   bigint NOT NULL,
    reason     text NOT NULL,
    -- How many events of the stream came after it.
    later      bigint NOT NULL DEFAULT 0,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    -- An operator, or an event in the stream, asks the active projector to try again.
    retry      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (generation, book_id)
);

-- Raised when a stream was folded anew: its rows may have changed though their positions are not new.
ALTER TABLE bookstock.projection ADD COLUMN refolds bigint NOT NULL DEFAULT 0;

GRANT SELECT ON bookstock.parked TO bookstock_reader;
