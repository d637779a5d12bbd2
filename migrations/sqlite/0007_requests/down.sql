DROP TABLE request_watchers;
DROP TABLE request_comments;
DROP TABLE service_requests;
