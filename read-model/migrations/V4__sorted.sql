-- Whether the views of a generation have the indexes by which many rows are sorted. Those that are there already do, and so
-- do those that an earlier version still makes.
ALTER TABLE bookstock.projection ADD COLUMN sorted boolean NOT NULL DEFAULT true;
