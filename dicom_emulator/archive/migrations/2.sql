-- Version 2 grew without a new number: each of these tables may be there already, or not.

CREATE TABLE new_metadata (
    watermark INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    json TEXT NOT NULL
);
INSERT INTO new_metadata SELECT watermark, json FROM metadata;
DROP TABLE metadata;
ALTER TABLE new_metadata RENAME TO metadata;

CREATE TABLE IF NOT EXISTS operation (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    percent INTEGER NOT NULL,
    input TEXT NOT NULL,
    progress TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS extended_query_tag (
    tag_key INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    vr TEXT NOT NULL,
    private_creator TEXT,
    level TEXT NOT NULL,
    status TEXT NOT NULL,
    query_status TEXT NOT NULL,
    operation TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS extended_value (
    tag_key INTEGER NOT NULL REFERENCES extended_query_tag ON DELETE CASCADE,
    study_key INTEGER REFERENCES study ON DELETE CASCADE,
    series_key INTEGER REFERENCES series ON DELETE CASCADE,
    watermark INTEGER REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    value_key NOT NULL,
    source INTEGER NOT NULL,
    UNIQUE (tag_key, study_key),
    UNIQUE (tag_key, series_key),
    UNIQUE (tag_key, watermark)
);
CREATE INDEX IF NOT EXISTS extended_value_key ON extended_value (tag_key, value_key);
CREATE INDEX IF NOT EXISTS extended_value_study ON extended_value (study_key);
CREATE INDEX IF NOT EXISTS extended_value_series ON extended_value (series_key);
CREATE INDEX IF NOT EXISTS extended_value_watermark ON extended_value (watermark);

CREATE TABLE IF NOT EXISTS extended_error (
    tag_key INTEGER NOT NULL REFERENCES extended_query_tag ON DELETE CASCADE,
    watermark INTEGER NOT NULL REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    ticks INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (tag_key, watermark)
);
CREATE INDEX IF NOT EXISTS extended_error_watermark ON extended_error (watermark);

CREATE TABLE IF NOT EXISTS original (
    watermark INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    original_watermark INTEGER NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    json TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS workitem (
    workitem_key INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_key INTEGER NOT NULL REFERENCES partition,
    SOPInstanceUID TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (partition_key, SOPInstanceUID)
);

CREATE TABLE IF NOT EXISTS workitem_value (
    workitem_key INTEGER NOT NULL REFERENCES workitem,
    path TEXT NOT NULL,
    value_key TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS workitem_value_key ON workitem_value (path, value_key);
CREATE INDEX IF NOT EXISTS workitem_value_workitem ON workitem_value (workitem_key);
