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
    watermark INTEGER PRIMARY KEY REFERENCES instance,
    json TEXT NOT NULL
);

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
CREATE INDEX change_feed_ticks ON change_feed (ticks, sequence);

CREATE TABLE secret (token_secret BLOB NOT NULL);
