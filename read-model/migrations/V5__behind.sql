-- How a projection is, for those who ask the query side. Whoever holds the lease writes it with its renewals, so that it costs
-- no write of its own. An earlier version writes none of it: then nobody knows.
ALTER TABLE bookstock.projection
    -- Since when this owner has the lease, or since when nobody has.
    ADD COLUMN owner_since   timestamptz,
    -- The age of the oldest event that was heard and is not applied, and how many there are, if all were heard.
    ADD COLUMN behind_ms     bigint,
    ADD COLUMN behind_events bigint,
    -- Until when that holds.
    ADD COLUMN behind_until  timestamptz;
