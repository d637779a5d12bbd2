-- The statements of filing over HTTP, as the server makes them; for pgbench.
BEGIN;
SELECT m.role, p.name FROM memberships m JOIN people p ON p.id = m.person_id JOIN tenants t ON t.id = m.tenant_id WHERE m.tenant_id = :tenant::uuid AND m.person_id = :person::uuid AND m.disabled = false AND m.accepted = true AND p.disabled = false AND t.disabled = false AND EXISTS (SELECT 1 FROM sessions s WHERE s.tenant_id = m.tenant_id AND s.id = :session::uuid AND s.person_id = m.person_id AND s.ended_at IS NULL) LIMIT 1;
SELECT * FROM tenants WHERE id = :tenant::uuid LIMIT 1;
SELECT pg_advisory_xact_lock_shared(hashtext(:incident::text));
SELECT * FROM incidents WHERE id = :incident::uuid LIMIT 1;
SELECT i.service FROM incident_services i JOIN tenant_services t ON t.service = i.service WHERE i.incident_id = :incident::uuid AND t.tenant_id = :tenant::uuid ORDER BY i.service;
SELECT i.region FROM incident_regions i JOIN tenant_regions t ON t.region = i.region WHERE i.incident_id = :incident::uuid AND t.tenant_id = :tenant::uuid ORDER BY i.region;
SELECT * FROM people WHERE id = :person::uuid LIMIT 1;
SELECT version, rules FROM routing_rule_sets ORDER BY version DESC LIMIT 1;
SELECT gen_random_uuid() AS id, 'SR-' || substr(md5(random()::text), 1, 10) AS reference \gset
INSERT INTO service_requests VALUES (:tenant::uuid, :id::uuid, :reference::text, 1, 1, 'queued', true, NULL, NULL, :incident::uuid, NULL, false, false, 'exchange-online', 'north-america', 'b', 'Mail is down', 'Nobody in the office can open a mailbox since nine.', 'admin_center', :person::uuid, '{"name":"Bob","email":"bob@contoso.example","language":"en","time_zone":"UTC"}', '[]', :queue::uuid, NULL, NULL, NULL, now(), now(), 'Bob');
INSERT INTO events VALUES (:tenant::uuid, :id::uuid, 'request', :id::uuid, 1, 'request_filed', now(), 'tenant', :person::uuid, 'Bob', false, '{"to":"queued","watchers":[],"internal":{"rule":"all","rules_version":1}}');
INSERT INTO unread_events VALUES (:tenant::uuid, 'bench', :id::uuid, :id::uuid, 1);
SELECT * FROM queues WHERE id = :queue::uuid LIMIT 1;
COMMIT;
