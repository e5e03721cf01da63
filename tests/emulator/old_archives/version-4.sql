-- Written by the emulator at commit c852c62, while its clock was put back an hour for one event.
BEGIN TRANSACTION;
CREATE TABLE change_feed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    ticks INTEGER NOT NULL,                         -- 100 ns since 1970
    action TEXT NOT NULL,
    partition_key INTEGER NOT NULL REFERENCES partition,
    StudyInstanceUID TEXT NOT NULL,
    SeriesInstanceUID TEXT NOT NULL,
    SOPInstanceUID TEXT NOT NULL,
    watermark INTEGER NOT NULL                      -- of the version that was created or deleted
);
INSERT INTO "change_feed" VALUES(1,17959009117460179,'Create',1,'2.25.1','2.25.11','2.25.111',1);
INSERT INTO "change_feed" VALUES(2,17959009117482835,'Create',1,'2.25.1','2.25.11','2.25.112',2);
INSERT INTO "change_feed" VALUES(3,17958973117499045,'Create',1,'2.25.2','2.25.21','2.25.211',3);
INSERT INTO "change_feed" VALUES(4,17959009117514876,'Delete',1,'2.25.2','2.25.21','2.25.211',3);
CREATE TABLE extended_error (
    tag_key INTEGER NOT NULL REFERENCES extended_query_tag ON DELETE CASCADE,
    watermark INTEGER NOT NULL REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    ticks INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (tag_key, watermark)
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
INSERT INTO "instance" VALUES(1,1,1,'2.25.111','00000000000000000000000000000111.dcm',446,'1.2.840.10008.1.2.1',NULL);
INSERT INTO "instance" VALUES(2,1,1,'2.25.112','00000000000000000000000000000112.dcm',582,'1.2.840.10008.1.2.1','{"offset": 558, "length": 24, "frame_bits": 96, "count": 2, "word": 1, "deflated": false}');
CREATE TABLE metadata (
    watermark INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,
    json TEXT NOT NULL
);
INSERT INTO "metadata" VALUES(1,'{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.7"]},"00080018":{"vr":"UI","Value":["2.25.111"]},"00080020":{"vr":"DA","Value":["20200922"]},"00080060":{"vr":"CS","Value":["OT"]},"00100010":{"vr":"PN","Value":[{"Alphabetic": "Old^Édith"}]},"00100020":{"vr":"LO","Value":["P1"]},"0020000D":{"vr":"UI","Value":["2.25.1"]},"0020000E":{"vr":"UI","Value":["2.25.11"]}}');
INSERT INTO "metadata" VALUES(2,'{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.7"]},"00080018":{"vr":"UI","Value":["2.25.112"]},"00080020":{"vr":"DA","Value":["20200922"]},"00080060":{"vr":"CS","Value":["OT"]},"00100010":{"vr":"PN","Value":[{"Alphabetic": "Old^Édith"}]},"00100020":{"vr":"LO","Value":["P1"]},"0020000D":{"vr":"UI","Value":["2.25.1"]},"0020000E":{"vr":"UI","Value":["2.25.11"]},"00280002":{"vr":"US","Value":[1]},"00280004":{"vr":"CS","Value":["MONOCHROME2"]},"00280008":{"vr":"IS","Value":[2]},"00280010":{"vr":"US","Value":[3]},"00280011":{"vr":"US","Value":[4]},"00280100":{"vr":"US","Value":[8]},"00280101":{"vr":"US","Value":[8]},"00280102":{"vr":"US","Value":[7]},"00280103":{"vr":"US","Value":[0]}}');
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
CREATE TABLE original (
    watermark INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE ON UPDATE CASCADE,  -- of the current version
    original_watermark INTEGER NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    json TEXT NOT NULL
);
CREATE TABLE partition (
    partition_key INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    ticks INTEGER NOT NULL                          -- when it was made, in 100 ns since 1970
);
INSERT INTO "partition" VALUES(1,'Microsoft.Default',17959009110000000);
CREATE TABLE secret (token_secret BLOB NOT NULL);
INSERT INTO "secret" VALUES(X'0000000000000000000000000000000000000000000000000000000000000000');
CREATE TABLE series (
    series_key INTEGER PRIMARY KEY AUTOINCREMENT,
    study_key INTEGER NOT NULL REFERENCES study,
    SeriesInstanceUID TEXT NOT NULL,
    Modality TEXT, Modality_key TEXT,
    PerformedProcedureStepStartDate TEXT, PerformedProcedureStepStartDate_key TEXT,
    ManufacturerModelName TEXT, ManufacturerModelName_key TEXT,
    UNIQUE (study_key, SeriesInstanceUID)
);
INSERT INTO "series" VALUES(1,1,'2.25.11','OT','ot',NULL,NULL,NULL,NULL);
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
INSERT INTO "study" VALUES(1,1,'2.25.1','Old^Édith','old^edith','P1','p1',NULL,NULL,NULL,NULL,NULL,NULL,'20200922','20200922',NULL,NULL);
CREATE TABLE workitem (
    workitem_key INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_key INTEGER NOT NULL REFERENCES partition,
    SOPInstanceUID TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (partition_key, SOPInstanceUID)
);
CREATE TABLE workitem_value (
    workitem_key INTEGER NOT NULL REFERENCES workitem,
    path TEXT NOT NULL,                             -- keywords with a dot between
    value_key TEXT NOT NULL
);
CREATE INDEX study_partition ON study (partition_key, study_key);
CREATE INDEX study_patient_name ON study (PatientName_key);
CREATE INDEX study_patient_id ON study (PatientID_key);
CREATE INDEX study_patient_birth_date ON study (PatientBirthDate_key);
CREATE INDEX study_accession_number ON study (AccessionNumber_key);
CREATE INDEX study_referring_physician_name ON study (ReferringPhysicianName_key);
CREATE INDEX study_date ON study (StudyDate_key);
CREATE INDEX study_description ON study (StudyDescription_key);
CREATE INDEX series_uid ON series (SeriesInstanceUID);
CREATE INDEX series_modality ON series (Modality_key);
CREATE INDEX series_performed_procedure_step_start_date ON series (PerformedProcedureStepStartDate_key);
CREATE INDEX series_manufacturer_model_name ON series (ManufacturerModelName_key);
CREATE INDEX instance_study ON instance (study_key, watermark);
CREATE INDEX instance_series ON instance (series_key, watermark);
CREATE INDEX instance_uid ON instance (SOPInstanceUID);
CREATE INDEX change_feed_ticks ON change_feed (ticks, sequence);
CREATE INDEX extended_value_key ON extended_value (tag_key, value_key);
CREATE INDEX extended_value_study ON extended_value (study_key);
CREATE INDEX extended_value_series ON extended_value (series_key);
CREATE INDEX extended_value_watermark ON extended_value (watermark);
CREATE INDEX extended_error_watermark ON extended_error (watermark);
CREATE INDEX workitem_value_key ON workitem_value (path, value_key);
CREATE INDEX workitem_value_workitem ON workitem_value (workitem_key);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('partition',1);
INSERT INTO "sqlite_sequence" VALUES('study',3);
INSERT INTO "sqlite_sequence" VALUES('series',3);
INSERT INTO "sqlite_sequence" VALUES('instance',3);
INSERT INTO "sqlite_sequence" VALUES('change_feed',4);
COMMIT;
PRAGMA user_version = 4;
