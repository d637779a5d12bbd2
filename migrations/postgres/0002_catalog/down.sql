DROP TABLE tenant_regions;
DROP TABLE tenant_services;
DROP TABLE regions;
DROP TABLE services;
