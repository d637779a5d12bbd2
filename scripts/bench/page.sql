SELECT * FROM service_requests WHERE is_open AND queue_id = :queue::uuid ORDER BY severity, id LIMIT 51;
