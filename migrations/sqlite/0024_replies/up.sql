-- What came in by mail and became a comment: a mail that is handed over twice is one comment, and nobody answers without end.
CREATE TABLE request_replies (
    tenant_id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    sender TEXT NOT NULL,
    letter TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, request_id, sender, letter),
    FOREIGN KEY (tenant_id, request_id) REFERENCES service_requests (tenant_id, id)
) STRICT;
CREATE INDEX request_replies_sender ON request_replies (tenant_id, request_id, sender, at);

-- Addresses whose mail came back for good: a tenant's, so that none learns whom another one writes to.
CREATE TABLE suppressions (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    address TEXT NOT NULL,
    said TEXT NOT NULL,
    delivery_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, address)
) STRICT;
CREATE INDEX suppressions_id ON suppressions (id);
CREATE INDEX suppressions_address ON suppressions (address, id);

-- How often a mail server further on has said that a message is late.
ALTER TABLE deliveries ADD COLUMN delays INTEGER NOT NULL DEFAULT 0;
