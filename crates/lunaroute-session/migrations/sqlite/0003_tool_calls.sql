-- One row per tool use, from the model's ask to the tool's result. The key is the provider's id within the session, so
-- that a history which is sent again counts once.

CREATE TABLE tool_calls (
    session_id        TEXT NOT NULL REFERENCES sessions (id) DEFERRABLE INITIALLY DEFERRED,
    id                TEXT NOT NULL,
    request_id        TEXT REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    name              TEXT,
    started_at        INTEGER,
    completed_at      INTEGER,
    status            TEXT NOT NULL CHECK (status IN ('running', 'completed', 'error')),
    success           INTEGER CHECK (success IN (0, 1)),
    duration_ms       INTEGER CHECK (duration_ms >= 0),
    arguments_blob    BLOB REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    result_blob       BLOB REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    result_request_id TEXT REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    digest            BLOB NOT NULL,
    PRIMARY KEY (session_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX tool_calls_name ON tool_calls (name, started_at);
