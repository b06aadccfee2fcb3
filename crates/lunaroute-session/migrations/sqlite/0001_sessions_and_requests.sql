-- Sessions, their requests, and the bytes that requests are made of.
-- Times are UTC milliseconds; NULL is unknown and never 0. Foreign keys are checked at the commit, because a request and
-- what it refers to are written in the order of the journal. A `digest` is BLAKE3 over the other columns of its row.

PRAGMA application_id = 1280659009;

CREATE TABLE schema_version (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

-- Content by its BLAKE3 hash. `parts` holds the hashes, 32 bytes each, of the blobs that make the content when joined.
-- `refcount` counts the columns and the parts that name the blob; request_messages and message_groups are not counted,
-- because a message is a part of its request's own body.
CREATE TABLE blobs (
    hash     BLOB PRIMARY KEY CHECK (length(hash) = 32),
    codec    TEXT NOT NULL CHECK (codec IN ('raw', 'zstd', 'parts')),
    raw_len  INTEGER NOT NULL CHECK (raw_len >= 0),
    refcount INTEGER NOT NULL CHECK (refcount >= 0),
    data     BLOB NOT NULL
) STRICT;

CREATE TABLE conversations (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    platform    TEXT NOT NULL,
    external_id TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (tenant_id, platform, external_id)
) STRICT;

CREATE TABLE sessions (
    id                    TEXT PRIMARY KEY,
    tenant_id             TEXT NOT NULL,
    conversation_id       TEXT REFERENCES conversations (id) DEFERRABLE INITIALLY DEFERRED,
    source                TEXT NOT NULL CHECK (source IN ('proxy', 'hook', 'import')),
    id_source             TEXT,
    client                TEXT,
    dialect               TEXT,
    listener              TEXT,
    provider              TEXT,
    model                 TEXT,
    status                TEXT NOT NULL CHECK (status IN
                              ('running', 'awaiting_response', 'completed', 'error', 'cancelled', 'expired')),
    started_at            INTEGER NOT NULL,
    last_activity_at      INTEGER NOT NULL,
    completed_at          INTEGER,
    success               INTEGER CHECK (success IN (0, 1)),
    finish_reason         TEXT,
    error                 TEXT,
    client_ip             TEXT,
    user_agent            TEXT,
    request_count         INTEGER NOT NULL,
    tool_call_count       INTEGER NOT NULL,
    input_tokens          INTEGER,
    cache_read_tokens     INTEGER,
    cache_write_5m_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    output_tokens         INTEGER,
    reasoning_tokens      INTEGER,
    total_ms              INTEGER NOT NULL,
    digest                BLOB NOT NULL
) STRICT;

CREATE INDEX sessions_started_at ON sessions (started_at DESC);
CREATE INDEX sessions_last_activity_at ON sessions (last_activity_at);
CREATE INDEX sessions_conversation ON sessions (conversation_id);
CREATE INDEX sessions_running ON sessions (started_at) WHERE status = 'running';

-- `digest` also covers the request's rows in the tables that hang on it; it is NULL until the request is over.
CREATE TABLE requests (
    id                    TEXT PRIMARY KEY,
    session_id            TEXT NOT NULL REFERENCES sessions (id) DEFERRABLE INITIALLY DEFERRED,
    kind                  TEXT,
    method                TEXT,
    path                  TEXT,
    dialect               TEXT,
    provider              TEXT,
    model_requested       TEXT,
    model_used            TEXT,
    is_stream             INTEGER CHECK (is_stream IN (0, 1)),
    status                TEXT NOT NULL CHECK (status IN
                              ('pending', 'running', 'success', 'error', 'cancelled', 'interrupted')),
    ending                TEXT,
    http_status           INTEGER,
    started_at            INTEGER NOT NULL,
    completed_at          INTEGER,
    total_ms              INTEGER,
    overhead_pre_us       INTEGER,
    overhead_post_us      INTEGER,
    ttft_ms               INTEGER,
    input_tokens          INTEGER,
    cache_read_tokens     INTEGER,
    cache_write_5m_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    output_tokens         INTEGER,
    reasoning_tokens      INTEGER,
    attempts              INTEGER,
    tool_calls            INTEGER,
    finish_reason         TEXT,
    finish_reason_raw     TEXT,
    error_kind            TEXT,
    error                 TEXT,
    preview               TEXT,
    read_problem          TEXT,
    request_headers       TEXT,
    response_headers      TEXT,
    request_encoding      TEXT,
    response_encoding     TEXT,
    request_bytes         INTEGER,
    response_bytes        INTEGER,
    response_blake3       TEXT,
    request_blob          BLOB REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    decoded_blob          BLOB REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    response_blob         BLOB REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    lost_frames           INTEGER,
    lost_bytes            INTEGER,
    gap_cause             TEXT,
    digest                BLOB
) STRICT;

CREATE INDEX requests_session ON requests (session_id, started_at);
CREATE INDEX requests_started_at ON requests (started_at);
CREATE INDEX requests_model_used ON requests (model_used, started_at);
CREATE INDEX requests_not_success ON requests (started_at) WHERE status <> 'success';

-- Sixteen messages in a row, stored once however many requests carry them. `id` is BLAKE3 over their roles and hashes.
CREATE TABLE message_groups (
    id        BLOB NOT NULL CHECK (length(id) = 32),
    place     INTEGER NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    blob_hash BLOB NOT NULL REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (id, place)
) STRICT, WITHOUT ROWID;

-- The history that a request carries, by reference: a message with its role, or a group of messages. `blob_hash` is the
-- content of either.
CREATE TABLE request_messages (
    request_id TEXT NOT NULL REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
    ordinal    INTEGER NOT NULL,
    role       TEXT CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    group_id   BLOB,
    blob_hash  BLOB NOT NULL REFERENCES blobs (hash) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (request_id, ordinal),
    CHECK ((role IS NULL) <> (group_id IS NULL))
) STRICT, WITHOUT ROWID;

-- The same history message by message.
CREATE VIEW request_history (request_id, ordinal, role, blob_hash) AS
SELECT m.request_id, m.ordinal + coalesce(g.place, 0), coalesce(m.role, g.role), coalesce(g.blob_hash, m.blob_hash)
FROM request_messages m LEFT JOIN message_groups g ON g.id = m.group_id;
