CREATE TABLE services (
    slug TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE regions (
    slug TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE tenant_services (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    service TEXT NOT NULL REFERENCES services (slug),
    PRIMARY KEY (tenant_id, service)
);
CREATE INDEX tenant_services_service ON tenant_services (service, tenant_id);

CREATE TABLE tenant_regions (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    region TEXT NOT NULL REFERENCES regions (slug),
    PRIMARY KEY (tenant_id, region)
);
CREATE INDEX tenant_regions_region ON tenant_regions (region, tenant_id);
