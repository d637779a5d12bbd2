DROP INDEX sla_clocks_due;
DROP TABLE queue_watches;
DROP TABLE last_words;
DROP TABLE hand_overs;
