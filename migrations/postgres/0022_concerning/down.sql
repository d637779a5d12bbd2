DROP INDEX request_watchers_email;
DROP INDEX service_requests_requester;
