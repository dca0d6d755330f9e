"""Traffic: policies of files, sent to a running quote service month by month."""
