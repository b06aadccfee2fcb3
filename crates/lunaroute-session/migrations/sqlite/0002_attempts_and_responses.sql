-- What happened behind a request: each try at a provider, and what the client got in the end.

CREATE TABLE attempts (
    request_id             TEXT NOT NULL REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    ordinal                INTEGER NOT NULL,
    provider               TEXT,
    model                  TEXT,
    status_code            INTEGER,
    reason                 TEXT CHECK (reason IN ('primary', 'retry', 'fallback', 'limit', 'hedge')),
    started_at             INTEGER,
    completed_at           INTEGER,
    latency_ms             INTEGER,
    error_kind             TEXT,
    error                  TEXT,
    retry_after_ms         INTEGER,
    provider_response_blob BLOB REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (request_id, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_provider ON attempts (provider, started_at);

CREATE TABLE responses (
    id                   TEXT PRIMARY KEY,
    request_id           TEXT NOT NULL UNIQUE REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    attempt_ordinal      INTEGER,
    provider_response_id TEXT,
    body_blob            BLOB REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    text_preview         TEXT,
    stop_reason_raw      TEXT
) STRICT;
