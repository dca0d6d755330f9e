"""What the platform shows people at a glance: versions, drift by month, realised accuracy, the last nights."""
