DROP TABLE IF EXISTS normalization_errors SYNC;
DROP TABLE IF EXISTS duplicates SYNC;
