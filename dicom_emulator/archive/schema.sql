-- The index of the archive. UIDs stand here without padding; the files and their metadata keep it.
-- "..._key" columns hold a value as it is compared: see fold() in query.py.

CREATE TABLE partition (
    partition_key INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    ticks INTEGER NOT NULL                          -- when it was made, in 100 ns since 1970
);
INSERT INTO partition VALUES (1, 'Microsoft.Default', unixepoch() * 10000000);

CREATE TABLE study (
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
CREATE INDEX study_partition ON study (partition_key, study_key);
CREATE INDEX study_patient_name ON study (PatientName_key);
CREATE INDEX study_patient_id ON study (PatientID_key);
CREATE INDEX study_patient_birth_date ON study (PatientBirthDate_key);
CREATE INDEX study_accession_number ON study (AccessionNumber_key);
CREATE INDEX study_referring_physician_name ON study (ReferringPhysicianName_key);
CREATE INDEX study_date ON study (StudyDate_key);
CREATE INDEX study_description ON study (StudyDescription_key);

CREATE TABLE series (
    series_key INTEGER PRIMARY KEY AUTOINCREMENT,
    study_key INTEGER NOT NULL REFERENCES study,
    SeriesInstanceUID TEXT NOT NULL,
    Modality TEXT, Modality_key TEXT,
    PerformedProcedureStepStartDate TEXT, PerformedProcedureStepStartDate_key TEXT,
    ManufacturerModelName TEXT, ManufacturerModelName_key TEXT,
    UNIQUE (study_key, SeriesInstanceUID)
);
CREATE INDEX series_uid ON series (SeriesInstanceUID);
CREATE INDEX series_modality ON series (Modality_key);
CREATE INDEX series_performed_procedure_step_start_date ON series (PerformedProcedureStepStartDate_key);
CREATE INDEX series_manufacturer_model_name ON series (ManufacturerModelName_key);

CREATE TABLE instance (
    watermark INTEGER PRIMARY KEY AUTOINCREMENT,
    study_key INTEGER NOT NULL REFERENCES study,
    series_key INTEGER NOT NULL REFERENCES series,
    SOPInstanceUID TEXT NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    transfer_syntax TEXT NOT NULL,
    frames TEXT,                                    -- where each frame lies in the file: see dicom/frames.py
    UNIQUE (series_key, SOPInstanceUID)
);
CREATE INDEX instance_study ON instance (study_key, watermark);
CREATE INDEX instance_series ON instance (series_key, watermark);
CREATE INDEX instance_uid ON instance (SOPInstanceUID);

-- Apart from the index, so that searching does not turn these large pages.
CREATE TABLE metadata (
    watermark INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    json TEXT NOT NULL
);

CREATE TABLE change_feed (
    sequence INTEGER PRIMARY KEY,                   -- one more than the last: no event is ever taken out alone
    ticks INTEGER NOT NULL,                         -- 100 ns since 1970; never less than in the row before
    action TEXT NOT NULL,
    partition_key INTEGER NOT NULL REFERENCES partition,
    StudyInstanceUID TEXT NOT NULL,
    SeriesInstanceUID TEXT NOT NULL,
    SOPInstanceUID TEXT NOT NULL,
    watermark INTEGER NOT NULL                      -- of the version that was created or deleted
);
CREATE INDEX change_feed_ticks ON change_feed (ticks);

CREATE TABLE secret (token_secret BLOB NOT NULL);

CREATE TABLE operation (
    id TEXT PRIMARY KEY,                            -- 32 hex digits
    type TEXT NOT NULL,                             -- reindex, update, export
    status TEXT NOT NULL,                           -- notStarted, running, succeeded, failed
    created INTEGER NOT NULL,                       -- ticks, as the next one
    updated INTEGER NOT NULL,
    percent INTEGER NOT NULL,
    input TEXT NOT NULL,                            -- JSON: what is to be done
    progress TEXT NOT NULL                          -- JSON: what is done, written in the transaction that did it
);

CREATE TABLE extended_query_tag (
    tag_key INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,                      -- eight hex digits
    vr TEXT NOT NULL,
    private_creator TEXT,
    level TEXT NOT NULL,                            -- study, series, instance
    status TEXT NOT NULL,                           -- adding, ready
    query_status TEXT NOT NULL,                     -- enabled, disabled
    operation TEXT NOT NULL                         -- that indexes what was stored before
);

-- A value belongs to a study, a series or an instance, whichever is not NULL.
CREATE TABLE extended_value (
    tag_key INTEGER NOT NULL REFERENCES extended_query_tag ON DELETE CASCADE,
    study_key INTEGER REFERENCES study ON DELETE CASCADE,
    series_key INTEGER REFERENCES series ON DELETE CASCADE,
    watermark INTEGER REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    value_key NOT NULL,                             -- as it is compared: a number or a text
    source INTEGER NOT NULL,                        -- watermark of the instance that it was read from
    UNIQUE (tag_key, study_key),
    UNIQUE (tag_key, series_key),
    UNIQUE (tag_key, watermark)
);
CREATE INDEX extended_value_key ON extended_value (tag_key, value_key);
CREATE INDEX extended_value_study ON extended_value (study_key);
CREATE INDEX extended_value_series ON extended_value (series_key);
CREATE INDEX extended_value_watermark ON extended_value (watermark);

CREATE TABLE extended_error (
    tag_key INTEGER NOT NULL REFERENCES extended_query_tag ON DELETE CASCADE,
    watermark INTEGER NOT NULL REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    ticks INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (tag_key, watermark)
);
CREATE INDEX extended_error_watermark ON extended_error (watermark);

-- The version of an instance before its first bulk update.
CREATE TABLE original (
    watermark INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,  -- of the current version
    original_watermark INTEGER NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    json TEXT NOT NULL
);

CREATE TABLE workitem (
    workitem_key INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_key INTEGER NOT NULL REFERENCES partition,
    SOPInstanceUID TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (partition_key, SOPInstanceUID)
);
CREATE INDEX workitem_partition ON workitem (partition_key, workitem_key);

-- What a search for work items compares with: several rows where a sequence has several items.
CREATE TABLE workitem_value (
    workitem_key INTEGER NOT NULL REFERENCES workitem,
    path TEXT NOT NULL,                             -- keywords with a dot between
    value_key TEXT NOT NULL
);
CREATE INDEX workitem_value_key ON workitem_value (path, value_key);
CREATE INDEX workitem_value_workitem ON workitem_value (workitem_key);
