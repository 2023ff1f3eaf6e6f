DROP TABLE cleaned_events;
DROP TABLE events;
