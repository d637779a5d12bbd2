UPDATE deliveries SET reason = 'suppressed' WHERE reason = 'bounced';
ALTER TABLE deliveries DROP COLUMN delays;
DROP TABLE suppressions;
DROP TABLE request_replies;
