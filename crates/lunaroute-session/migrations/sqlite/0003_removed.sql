-- Requests that were removed with their session while the journal may still hold events of them: reading it again must not
-- bring them back, and `lunaroute verify` must not miss them. `segment` is how far reading had come; when the journal begins
-- after it, the id is forgotten.

CREATE TABLE removed_requests (
    id      TEXT PRIMARY KEY,
    segment INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
