DROP TABLE unread_events;
DROP TABLE events;
