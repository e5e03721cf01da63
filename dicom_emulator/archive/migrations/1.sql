-- Partitions: a study and an event belong to one.

CREATE TABLE partition (
    partition_key INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    ticks INTEGER NOT NULL
);
INSERT INTO partition VALUES (1, 'Microsoft.Default', unixepoch() * 10000000);

CREATE TABLE new_study (
    study_key INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_key INTEGER NOT NULL REFERENCES partition,
    StudyInstanceUID TEXT NOT NULL,
    PatientName TEXT, PatientName_key TEXT,
    PatientID TEXT, PatientID_key TEXT,
    PatientBirthDate TEXT, PatientBirthDate_key TEXT,
    AccessionNumber TEXT, AccessionNumber_key TEXT,
    ReferringPhysicianName TEXT, ReferringPhysicianName_key TEXT,
    StudyDate TEXT, StudyDate_key TEXT,
    StudyDescription TEXT, StudyDescription_key TEXT,
    UNIQUE (partition_key, StudyInstanceUID)
);
INSERT INTO new_study SELECT
    study_key, 1, StudyInstanceUID, PatientName, PatientName_key, PatientID, PatientID_key, PatientBirthDate,
    PatientBirthDate_key, AccessionNumber, AccessionNumber_key, ReferringPhysicianName, ReferringPhysicianName_key,
    StudyDate, StudyDate_key, StudyDescription, StudyDescription_key
FROM study;
DELETE FROM sqlite_sequence WHERE name = 'new_study';
INSERT INTO sqlite_sequence SELECT 'new_study', seq FROM sqlite_sequence WHERE name = 'study';
DROP TABLE study;
ALTER TABLE new_study RENAME TO study;
CREATE INDEX study_patient_name ON study (PatientName_key);
CREATE INDEX study_patient_id ON study (PatientID_key);
CREATE INDEX study_patient_birth_date ON study (PatientBirthDate_key);
CREATE INDEX study_accession_number ON study (AccessionNumber_key);
CREATE INDEX study_referring_physician_name ON study (ReferringPhysicianName_key);
CREATE INDEX study_date ON study (StudyDate_key);
CREATE INDEX study_description ON study (StudyDescription_key);

-- The very first editions had a column more: bits_allocated.
CREATE TABLE new_instance (
    watermark INTEGER PRIMARY KEY AUTOINCREMENT,
    study_key INTEGER NOT NULL REFERENCES study,
    series_key INTEGER NOT NULL REFERENCES series,
    SOPInstanceUID TEXT NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    transfer_syntax TEXT NOT NULL,
    frames TEXT,
    UNIQUE (series_key, SOPInstanceUID)
);
INSERT INTO new_instance SELECT
    watermark, study_key, series_key, SOPInstanceUID, file, size, transfer_syntax, frames
FROM instance;
DELETE FROM sqlite_sequence WHERE name = 'new_instance';
INSERT INTO sqlite_sequence SELECT 'new_instance', seq FROM sqlite_sequence WHERE name = 'instance';
DROP TABLE instance;
ALTER TABLE new_instance RENAME TO instance;
CREATE INDEX instance_study ON instance (study_key, watermark);
CREATE INDEX instance_series ON instance (series_key, watermark);
CREATE INDEX instance_uid ON instance (SOPInstanceUID);

CREATE TABLE new_change_feed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    ticks INTEGER NOT NULL,
    action TEXT NOT NULL,
    partition_key INTEGER NOT NULL REFERENCES partition,
    StudyInstanceUID TEXT NOT NULL,
    SeriesInstanceUID TEXT NOT NULL,
    SOPInstanceUID TEXT NOT NULL,
    watermark INTEGER NOT NULL
);
INSERT INTO new_change_feed SELECT
    sequence, ticks, action, 1, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, watermark
FROM change_feed;
DELETE FROM sqlite_sequence WHERE name = 'new_change_feed';
INSERT INTO sqlite_sequence SELECT 'new_change_feed', seq FROM sqlite_sequence WHERE name = 'change_feed';
DROP TABLE change_feed;
ALTER TABLE new_change_feed RENAME TO change_feed;
CREATE INDEX change_feed_ticks ON change_feed (ticks, sequence);
