-- The number that the last generation got: no other ever gets it, dropped or not. By its generation a client knows whether what
-- it has is of the same rows, and a maker that was paused past its lease, whether what it fills is still its own.
CREATE TABLE bookstock.last_generation (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    generation integer NOT NULL
);

INSERT INTO bookstock.last_generation (generation) SELECT coalesce(max(generation), 0) FROM bookstock.projection;
