"""Traffic: policies of files, sent to a running quote service month by month."""

from motorisk.pipelines.traffic.endpoints import Endpoint
from motorisk.pipelines.traffic.run import MonthSent, TrafficRun, replay_files

__all__ = ["Endpoint", "MonthSent", "TrafficRun", "replay_files"]
