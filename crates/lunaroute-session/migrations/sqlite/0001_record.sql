-- Sessions, their requests, and the bytes that requests are made of.
--
-- Times are UTC milliseconds; NULL is unknown and never 0. Tables that every request writes to are only appended to, so
-- that a transaction changes few pages. What a REFERENCES says is checked by `lunaroute verify`, not while writing.
-- A `digest` is BLAKE3, cut to 16 bytes, over the other columns of its row.

PRAGMA application_id = 1280659009;

CREATE TABLE schema_version (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

-- The id is a hash over tenant, platform and external id.
CREATE TABLE conversations (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    platform    TEXT NOT NULL,
    external_id TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (tenant_id, platform, external_id)
) STRICT;

-- `number` is what blobs know their session by.
CREATE TABLE sessions (
    number                INTEGER PRIMARY KEY,
    id                    TEXT NOT NULL UNIQUE,
    tenant_id             TEXT NOT NULL,
    conversation_id       TEXT REFERENCES conversations (id),
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
    digest                BLOB NOT NULL CHECK (length(digest) = 16)
) STRICT;

CREATE INDEX sessions_started_at ON sessions (started_at DESC);
CREATE INDEX sessions_last_activity_at ON sessions (last_activity_at);
CREATE INDEX sessions_conversation ON sessions (conversation_id);

-- Stretches of bytes, in the order in which they came. `session` is the one that brought the bytes and owns them; other
-- sessions whose bodies hold the same bytes are in blob_holders. `codec` is 0 for bytes as they are, 1 for Zstandard, 2 for
-- Zstandard with the dictionary of small content.
-- `hash` is BLAKE3 of the bytes; `key` is its first 8 bytes for those that other sessions may come to share.
CREATE TABLE blobs (
    id      INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (number),
    codec   INTEGER NOT NULL CHECK (codec IN (0, 1, 2)),
    raw_len INTEGER NOT NULL CHECK (raw_len > 0),
    key     INTEGER,
    hash    BLOB NOT NULL CHECK (length(hash) = 32),
    data    BLOB NOT NULL
) STRICT;

CREATE INDEX blobs_key ON blobs (key) WHERE key IS NOT NULL;

CREATE TABLE blob_holders (
    blob    INTEGER NOT NULL REFERENCES blobs (id),
    session INTEGER NOT NULL REFERENCES sessions (number),
    PRIMARY KEY (blob, session)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_holders_session ON blob_holders (session);

-- Blobs that a session let go of and that are still to be looked at: removed, or left to another session.
CREATE TABLE released_blobs (
    session INTEGER NOT NULL,
    blob    INTEGER NOT NULL,
    PRIMARY KEY (session, blob)
) STRICT, WITHOUT ROWID;

-- One row per request, written when it is over; one that takes longer has a row as `running` before.
-- `body` and `decoded` are recipes: which stretches of bytes make the request's body as it arrived and without its content
-- coding, and where the messages stand in it. `content` holds what is small, one behind the other with the lengths in
-- `sections`: headers, previews, sampled pieces of the stream, a small body, a small answer. `answer` is an answer that is
-- not small. `attempt_list` has an array for each try at a provider. After `bodies_removed_at` none of these bytes is there
-- any more. `digest` also covers the request's rows in session_errors; it is NULL until the request is over.
CREATE TABLE requests (
    id                    TEXT PRIMARY KEY,
    session_id            TEXT NOT NULL REFERENCES sessions (id),
    session               INTEGER NOT NULL REFERENCES sessions (number),
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
    ttft_us               INTEGER,
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
    read_problem          TEXT,
    request_encoding      TEXT,
    response_encoding     TEXT,
    request_bytes         INTEGER,
    response_bytes        INTEGER,
    response_blake3       BLOB CHECK (length(response_blake3) = 32),
    lost_frames           INTEGER,
    lost_bytes            INTEGER,
    gap_cause             TEXT,
    has_response          INTEGER CHECK (has_response IN (0, 1)),
    provider_response_id  TEXT,
    attempt_list          TEXT,
    chunks                INTEGER,
    gap_p50_us            INTEGER,
    gap_p95_us            INTEGER,
    gap_p99_us            INTEGER,
    body                  BLOB,
    decoded               BLOB,
    content               INTEGER REFERENCES blobs (id),
    sections              BLOB,
    answer                INTEGER REFERENCES blobs (id),
    bodies_removed_at     INTEGER,
    digest                BLOB CHECK (length(digest) = 16)
) STRICT;

-- Ids are UUIDv7 and sort by time, so the primary key serves questions about a period too.
-- By the session's number: it is short, and sessions of the same time are neighbours.
CREATE INDEX requests_session ON requests (session);
CREATE INDEX requests_model_used ON requests (model_used, started_at);
CREATE INDEX requests_not_success ON requests (started_at) WHERE status <> 'success';

-- What went wrong on the way.
CREATE TABLE session_errors (
    request_id TEXT NOT NULL REFERENCES requests (id),
    seq        INTEGER NOT NULL,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    message    TEXT NOT NULL,
    PRIMARY KEY (request_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX session_errors_session ON session_errors (session_id, at);

-- One row per tool use, from the model's ask to the tool's result. The key is the provider's id within the session, so
-- that a history which is sent again counts once. The result is `result_bytes` long and begins at `result_offset` of the
-- decoded body of `result_request_id`.
CREATE TABLE tool_calls (
    session_id        TEXT NOT NULL REFERENCES sessions (id),
    id                TEXT NOT NULL,
    request_id        TEXT REFERENCES requests (id),
    name              TEXT,
    started_at        INTEGER,
    completed_at      INTEGER,
    status            TEXT NOT NULL CHECK (status IN ('running', 'completed', 'error')),
    success           INTEGER CHECK (success IN (0, 1)),
    duration_ms       INTEGER CHECK (duration_ms >= 0),
    arguments         INTEGER REFERENCES blobs (id),
    arguments_blake3  BLOB,
    result_request_id TEXT REFERENCES requests (id),
    result_offset     INTEGER,
    result_bytes      INTEGER,
    result_blake3     BLOB,
    digest            BLOB NOT NULL CHECK (length(digest) = 16),
    PRIMARY KEY (session_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX tool_calls_name ON tool_calls (name, started_at);

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
    digest       BLOB NOT NULL CHECK (length(digest) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    writer   TEXT NOT NULL,
    event_id TEXT NOT NULL,
    error    TEXT NOT NULL,
    payload  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    digest   BLOB NOT NULL CHECK (length(digest) = 16),
    PRIMARY KEY (writer, event_id)
) STRICT;

-- The same under the names of the data model.
CREATE VIEW attempts (request_id, ordinal, provider, model, status_code, reason, started_at, completed_at, latency_ms,
                      error_kind, error, retry_after_ms, provider_response_blob) AS
SELECT r.id, a.value ->> 0, a.value ->> 1, a.value ->> 2, a.value ->> 3, a.value ->> 4, a.value ->> 5, a.value ->> 6,
       a.value ->> 7, a.value ->> 8, a.value ->> 9, a.value ->> 10, a.value ->> 11
FROM requests r, json_each(r.attempt_list) a;

CREATE VIEW responses (id, request_id, attempt_ordinal, provider_response_id, body_blob, stop_reason_raw) AS
SELECT id, id, json_extract(attempt_list, '$[#-1][0]'), provider_response_id, coalesce(answer, content), finish_reason_raw
FROM requests WHERE has_response = 1;

CREATE VIEW stream_metrics (request_id, ttft_us, chunks, gap_p50_us, gap_p95_us, gap_p99_us, bytes) AS
SELECT id, ttft_us, chunks, gap_p50_us, gap_p95_us, gap_p99_us, response_bytes FROM requests WHERE chunks IS NOT NULL;
