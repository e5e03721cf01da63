-- Written by the emulator at commit 7fb97eb.
BEGIN TRANSACTION;
CREATE TABLE change_feed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    ticks INTEGER NOT NULL,                         -- 100 ns since 1970
    action TEXT NOT NULL,
    StudyInstanceUID TEXT NOT NULL,
    SeriesInstanceUID TEXT NOT NULL,
    SOPInstanceUID TEXT NOT NULL,
    watermark INTEGER NOT NULL                      -- of the version that was created or deleted
);
INSERT INTO "change_feed" VALUES(1,17958663799460237,'Create','2.25.1','2.25.11','2.25.111',1);
INSERT INTO "change_feed" VALUES(2,17958663799474222,'Create','2.25.1','2.25.11','2.25.112',2);
INSERT INTO "change_feed" VALUES(3,17958663799485616,'Create','2.25.2','2.25.21','2.25.211',3);
INSERT INTO "change_feed" VALUES(4,17958663799514003,'Delete','2.25.2','2.25.21','2.25.211',3);
CREATE TABLE instance (
    watermark INTEGER PRIMARY KEY AUTOINCREMENT,
    study_key INTEGER NOT NULL REFERENCES study,
    series_key INTEGER NOT NULL REFERENCES series,
    SOPInstanceUID TEXT NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    transfer_syntax TEXT NOT NULL,
    bits_allocated INTEGER,
    frames TEXT,                                    -- where each frame lies in the file: see dicom/frames.py
    UNIQUE (series_key, SOPInstanceUID)
);
INSERT INTO "instance" VALUES(1,1,1,'2.25.111','00000000000000000000000000000111.dcm',446,'1.2.840.10008.1.2.1',NULL,NULL);
INSERT INTO "instance" VALUES(2,1,1,'2.25.112','00000000000000000000000000000112.dcm',582,'1.2.840.10008.1.2.1',8,'{"offset": 558, "length": 24, "frame_bits": 96, "count": 2, "deflated": false}');
CREATE TABLE metadata (
    watermark INTEGER PRIMARY KEY REFERENCES instance,
    json TEXT NOT NULL
);
INSERT INTO "metadata" VALUES(1,'{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.7"]},"00080018":{"vr":"UI","Value":["2.25.111"]},"00080020":{"vr":"DA","Value":["20200922"]},"00080060":{"vr":"CS","Value":["OT"]},"00100010":{"vr":"PN","Value":[{"Alphabetic": "Old^Édith"}]},"00100020":{"vr":"LO","Value":["P1"]},"0020000D":{"vr":"UI","Value":["2.25.1"]},"0020000E":{"vr":"UI","Value":["2.25.11"]}}');
INSERT INTO "metadata" VALUES(2,'{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.7"]},"00080018":{"vr":"UI","Value":["2.25.112"]},"00080020":{"vr":"DA","Value":["20200922"]},"00080060":{"vr":"CS","Value":["OT"]},"00100010":{"vr":"PN","Value":[{"Alphabetic": "Old^Édith"}]},"00100020":{"vr":"LO","Value":["P1"]},"0020000D":{"vr":"UI","Value":["2.25.1"]},"0020000E":{"vr":"UI","Value":["2.25.11"]},"00280002":{"vr":"US","Value":[1]},"00280004":{"vr":"CS","Value":["MONOCHROME2"]},"00280008":{"vr":"IS","Value":[2]},"00280010":{"vr":"US","Value":[3]},"00280011":{"vr":"US","Value":[4]},"00280100":{"vr":"US","Value":[8]},"00280101":{"vr":"US","Value":[8]},"00280102":{"vr":"US","Value":[7]},"00280103":{"vr":"US","Value":[0]}}');
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
    StudyInstanceUID TEXT NOT NULL UNIQUE,
    PatientName TEXT, PatientName_key TEXT,
    PatientID TEXT, PatientID_key TEXT,
    PatientBirthDate TEXT, PatientBirthDate_key TEXT,
    AccessionNumber TEXT, AccessionNumber_key TEXT,
    ReferringPhysicianName TEXT, ReferringPhysicianName_key TEXT,
    StudyDate TEXT, StudyDate_key TEXT,
    StudyDescription TEXT, StudyDescription_key TEXT
);
INSERT INTO "study" VALUES(1,'2.25.1','Old^Édith','old^edith','P1','p1',NULL,NULL,NULL,NULL,NULL,NULL,'20200922','20200922',NULL,NULL);
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
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('study',3);
INSERT INTO "sqlite_sequence" VALUES('series',3);
INSERT INTO "sqlite_sequence" VALUES('instance',3);
INSERT INTO "sqlite_sequence" VALUES('change_feed',4);
COMMIT;
PRAGMA user_version = 1;
