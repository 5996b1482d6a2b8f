-- What is done with a generation beside the one that serves.
ALTER TABLE bookstock.projection
    -- building: its maker alone writes it, under the lease, and it never served. kept: the projector keeps it current,
    -- whether it serves or not, so that serving can go back to it. frozen: it stays as it is, and nobody writes it.
    ADD COLUMN stage text NOT NULL DEFAULT 'kept' CHECK (stage IN ('building', 'kept', 'frozen')),
    ADD COLUMN made_at timestamptz NOT NULL DEFAULT now(),
    -- Since when it serves, or did when it served last.
    ADD COLUMN served_from timestamptz;

UPDATE bookstock.projection SET served_from = now() WHERE generation = (SELECT generation FROM bookstock.active);
