-- Files that came with comments; what is in them is on the shelf. A row is there before its file, and until the file is gone.
CREATE TABLE attachments (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    comment_id BLOB,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES service_requests (tenant_id, id)
) STRICT;
CREATE INDEX attachments_request ON attachments (tenant_id, request_id, state, id);
CREATE INDEX attachments_state ON attachments (state, at, id);
