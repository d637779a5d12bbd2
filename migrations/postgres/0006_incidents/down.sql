DROP TABLE incident_updates;
DROP TABLE incident_regions;
DROP TABLE incident_services;
DROP TABLE incidents;
