SELECT * FROM service_requests WHERE tenant_id = :tenant::uuid AND id = :request::uuid LIMIT 1;
