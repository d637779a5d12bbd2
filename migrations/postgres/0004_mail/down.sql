DROP TABLE told;
DROP TABLE deliveries;
DROP TABLE broadcasts;
