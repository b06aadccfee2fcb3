-- How far the journal is in this database, and what could not be brought in.
-- (segment, offset) is where reading begins again: the oldest request that is still open. (read_segment, read_offset) is
-- how far reading came. Both change in the transaction of the rows they speak of.

CREATE TABLE projector_state (
    writer       TEXT PRIMARY KEY,
    segment      INTEGER NOT NULL,
    offset       INTEGER NOT NULL,
    read_segment INTEGER NOT NULL,
    read_offset  INTEGER NOT NULL,
    out_of_order INTEGER NOT NULL,
    digest       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    writer   TEXT NOT NULL,
    event_id TEXT NOT NULL,
    error    TEXT NOT NULL,
    payload  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    digest   BLOB NOT NULL,
    PRIMARY KEY (writer, event_id)
) STRICT;
