-- The second wall between tenants, raised after the migrations, as whoever owns the tables: a role that works, and
-- a policy on every table with rows of tenants. What stands already is left alone, since each step takes a lock.
DO $$
DECLARE
    worker CONSTANT text := current_database() || '_worker';
    -- Asked once a statement, not once a row. Unset, it is nobody: no row is shown.
    mine CONSTANT text := $mine$(SELECT nullif(nullif(current_setting('allclear.tenant', true), 'all'), '')::uuid)$mine$;
    everybodys CONSTANT text := $all$(SELECT current_setting('allclear.tenant', true)) = 'all'$all$;
    place record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = worker) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOBYPASSRLS', worker);
    END IF;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', worker);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), worker);
    FOR place IN
        SELECT c.oid, c.oid::regclass AS name, c.relrowsecurity AND c.relforcerowsecurity AS walled,
            c.relname = 'events' AS journal,
            CASE WHEN c.relname = 'tenants' THEN 'id' ELSE tenant.attname END AS tenant
        FROM pg_class c
        LEFT JOIN pg_attribute tenant ON tenant.attrelid = c.oid AND tenant.attname = 'tenant_id'
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
            AND c.relname <> '__diesel_schema_migrations'
    LOOP
        IF NOT has_table_privilege(worker, place.oid, 'SELECT') THEN
            EXECUTE format('GRANT SELECT, INSERT, %s ON %s TO %I',
                -- The journal is appended to; what was written is sealed or erased, and nothing else.
                CASE WHEN place.journal THEN 'UPDATE (actor_name, address, data, salt, digest, chain_seq, chain_hash)'
                    ELSE 'UPDATE, DELETE' END, place.name, worker);
        END IF;
        IF place.tenant IS NOT NULL AND NOT place.walled THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', place.name);
            EXECUTE format('CREATE POLICY wall ON %s USING (%s OR %I = %s)', place.name, everybodys, place.tenant, mine);
        END IF;
    END LOOP;
END
$$;
