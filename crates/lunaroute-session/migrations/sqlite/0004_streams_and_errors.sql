-- How an answer flowed (sampled), its figures, and what failed.

CREATE TABLE stream_events (
    request_id TEXT NOT NULL REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    seq        INTEGER NOT NULL,
    at_us      INTEGER NOT NULL,
    type       TEXT NOT NULL CHECK (type IN ('text', 'tool_call', 'tool_result', 'metadata', 'error')),
    idx        INTEGER,
    payload    TEXT NOT NULL,
    PRIMARY KEY (request_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream_metrics (
    request_id TEXT PRIMARY KEY REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    ttft_us    INTEGER,
    chunks     INTEGER NOT NULL,
    gap_p50_us INTEGER,
    gap_p95_us INTEGER,
    gap_p99_us INTEGER,
    bytes      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session_errors (
    request_id TEXT NOT NULL REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    seq        INTEGER NOT NULL,
    session_id TEXT NOT NULL REFERENCES sessions (id) DEFERRABLE INITIALLY DEFERRED,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    message    TEXT NOT NULL,
    PRIMARY KEY (request_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX session_errors_session ON session_errors (session_id, at);
