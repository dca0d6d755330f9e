DROP TABLE motorisk.drift_reading;
