-- The provider's form of a request that was translated for a provider of another dialect, and of its answer. Of several
-- attempts the last one is kept. `provider_head` is JSON of path, headers and status, `provider_body` a recipe as `body` is.
-- `warnings` has an array for each field that could not be carried over: its path, what became of it, whether meaning was
-- lost. It stays when the bytes are removed.

ALTER TABLE requests ADD COLUMN provider_dialect TEXT;
ALTER TABLE requests ADD COLUMN warnings TEXT;
ALTER TABLE requests ADD COLUMN provider_head INTEGER REFERENCES blobs (id);
ALTER TABLE requests ADD COLUMN provider_body BLOB;
ALTER TABLE requests ADD COLUMN provider_answer INTEGER REFERENCES blobs (id);
