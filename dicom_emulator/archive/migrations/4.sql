-- The feed is read by its numbers, which have no gaps, and its moments never go back: see change_feed.py. What was
-- recorded after the clock had been put back gets the moment of the event before it. Nobody has left a gap so far; if
-- there is one, the numbers before it close up to those behind it, so that who asks for what follows a number that was
-- his last may be told something twice, and misses nothing.

CREATE TABLE new_change_feed (
    sequence INTEGER PRIMARY KEY,
    ticks INTEGER NOT NULL,
    action TEXT NOT NULL,
    partition_key INTEGER NOT NULL REFERENCES partition,
    StudyInstanceUID TEXT NOT NULL,
    SeriesInstanceUID TEXT NOT NULL,
    SOPInstanceUID TEXT NOT NULL,
    watermark INTEGER NOT NULL
);
INSERT INTO new_change_feed SELECT
    (SELECT MAX(sequence) - COUNT(*) FROM change_feed) + ROW_NUMBER() OVER by_sequence,
    MAX(ticks) OVER by_sequence,
    action, partition_key, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, watermark
FROM change_feed WINDOW by_sequence AS (ORDER BY sequence);
DROP TABLE change_feed;
ALTER TABLE new_change_feed RENAME TO change_feed;
CREATE INDEX change_feed_ticks ON change_feed (ticks);

-- A page of a partition's work items is read from its newest on, and filters need not look through all of them.

CREATE INDEX workitem_partition ON workitem (partition_key, workitem_key);
