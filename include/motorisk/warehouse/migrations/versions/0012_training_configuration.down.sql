DROP TABLE motorisk.training_configuration;
