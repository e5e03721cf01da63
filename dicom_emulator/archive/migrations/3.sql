-- A page of a partition's studies is read from its newest on, and not from the newest of all.

CREATE INDEX study_partition ON study (partition_key, study_key);
