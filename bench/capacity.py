"""What a size of insurer needs, from what was measured here: `python -m bench.capacity`.

Every constant is a measurement of this project (the file that has it is named) or a choice (said so); the rest is
multiplication. `--measure` measures the bytes of a row again, on a Postgres of its own (half a minute).
"""

import argparse
import math
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

SECONDS_A_DAY = 86_400
MONTH = 30.4
GB, TB = 1e9, 1e12

# --- measured on two cores ------------------------------------------------------------------------------------------
QUOTE_CPU = 440e-6
"""Seconds of a core that the service takes for a quote (bench/quotes.md)."""
QUOTES_ON_TWO_CORES = 3_571
"""A second, client and Postgres on the same two cores (bench/quotes.md)."""
SCORE_SECONDS = 3.7
"""Seconds a million policies on two cores through Airflow, Postgres included (bench/scoring.md)."""
SCORE_FLOOR = 1.73
"""Seconds a million that Postgres alone needs to copy out and in (bench/scoring.md)."""
DRIFT_SECONDS = 3.7
"""Seconds a million policies on two cores, with as many scores and the quotes of a day (bench/drift_scale.py)."""
WORKER_MB = 77
"""Memory of a quote worker (bench/quotes.md)."""
POLICY_BYTES, SCORE_BYTES, QUOTE_BYTES, QUOTE_WAL = 190, 176, 359, 641
"""Bytes of a row with its indexes, and of write-ahead log for a quote (`--measure`)."""

# --- chosen ---------------------------------------------------------------------------------------------------------
BUSY = 0.6
"""Share of a core that may be busy at the peak: beyond, waiting times grow faster than load."""
PEAK_TO_MEAN = 4
"""Peak second over the day's mean."""
WORKERS_A_POD = 2
POOL = 15
"""Connections of a worker at most: SQLAlchemy's pool and its overflow."""
PARTITION_ROWS = 1_000_000
MAX_MAPPED = 1_024
"""Mapped tasks of a run that Airflow allows."""
HISTORY_MONTHS = 36
SNAPSHOT_COLUMNS = 9


@dataclass(frozen=True)
class Insurer:
    """How many policies are in force, and how many quotes are asked for in the busiest second."""

    policies: int
    quotes: int


VERSION = """
INSERT INTO motorisk.model_version (state, candidate, as_of, digest, plan, snapshot_digest, rows, metrics, gates,
    parameters, provenance, trained_by)
VALUES ('candidate', 'gam', now(), repeat('a', 64), '{}', repeat('a', 64), 1, '{}', '[]', '{}', '{}', 'bench')
"""
QUOTES = """
INSERT INTO motorisk.quote (quote_id, quoted_at, channel, effective_date, training, age, emergency_braking,
    braking_distance, power, miles, version, digest, tariff, predictor, risk_class, expected_risk, p_low, p_medium,
    p_high, net, insurance_tax, gross)
SELECT gen_random_uuid(), now(), 'quote', effective_date, training, age, emergency_braking, braking_distance, power,
    miles, 1, repeat('a', 64), 'standard', 'model', 'medium', age / 50, 20000000, 60000000, 20000000, 600.12, 114.02,
    714.14
FROM insurance.policy
"""
SCORES = """
INSERT INTO motorisk.score_kept (as_of, policy_id, version, tariff, predictor, risk_class, expected_risk, p_low,
    p_medium, p_high, net, insurance_tax, gross, net_before, class_before, capped)
SELECT '2024-12-31', policy_id, 1, 'standard', 'model', 'medium', age / 50, 20000000, 60000000, 20000000, 600.12,
    114.02, 714.14, 600.12, 'medium', false
FROM insurance.policy
"""

SIZES = (
    Insurer(50_000, 50),
    Insurer(1_000_000, 500),
    Insurer(10_000_000, 3_000),
    Insurer(100_000_000, 20_000),
)


def quoting(insurer: Insurer) -> dict[str, str]:
    """The quote service and its ledger."""
    cores = insurer.quotes * QUOTE_CPU / BUSY
    pods = max(2, math.ceil(cores / WORKERS_A_POD) + 1)  # one may be away
    ledger_cores = insurer.quotes * max(0.0, 2 / QUOTES_ON_TWO_CORES - QUOTE_CPU) / BUSY
    a_day = insurer.quotes / PEAK_TO_MEAN * SECONDS_A_DAY
    return {
        "service, cores": f"{cores:,.1f}",
        "pods of two workers": f"{pods:,}",
        "memory of workers, GB": f"{pods * WORKERS_A_POD * WORKER_MB / 1000:,.1f}",
        "connections, at most": f"{pods * WORKERS_A_POD * POOL:,}",
        "Postgres for quotes, cores": f"{ledger_cores:,.1f}",
        "WAL at the peak, MB/s": f"{insurer.quotes * QUOTE_WAL / 1e6:,.1f}",
        "quotes a day, million": f"{a_day / 1e6:,.1f}",
        "ledger a month, GB": f"{a_day * MONTH * QUOTE_BYTES / GB:,.0f}",
    }


def nights(insurer: Insurer) -> dict[str, str]:
    """Scoring and drift; the times are those of two cores, and of eight if Postgres keeps up."""
    millions = insurer.policies / 1e6
    pieces = max(1, math.ceil(insurer.policies / PARTITION_ROWS))
    floor = millions * SCORE_FLOOR / 60
    return {
        "partitions of a million": f"{pieces:,}" + (" (too many)" if pieces > MAX_MAPPED else ""),
        "scoring on two cores, min": f"{millions * SCORE_SECONDS / 60:,.1f}",
        "no less than Postgres' floor, min": f"{floor:,.1f}",
        "drift on two cores, min": f"{millions * DRIFT_SECONDS / 60:,.1f}",
        "policies, GB": f"{insurer.policies * POLICY_BYTES / GB:,.1f}",
        "scores a night, GB": f"{insurer.policies * SCORE_BYTES / GB:,.1f}",
        "scores of 24 months of nights, TB": f"{insurer.policies * SCORE_BYTES * 24 * MONTH / TB:,.1f}",
        "training snapshot in memory, GB": f"{insurer.policies / 12 * HISTORY_MONTHS * SNAPSHOT_COLUMNS * 8 / GB:,.1f}",
    }


def table(rows: dict[str, list[str]]) -> str:
    """As Markdown."""
    sizes = " | ".join(f"{size.policies:,} policies, {size.quotes:,} quotes/s" for size in SIZES)
    lines = [f"| | {sizes} |", "|---" * (len(SIZES) + 1) + "|"]
    return "\n".join(lines + [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()])


def measure() -> dict[str, float]:
    """Bytes of a row with its indexes, as Postgres stores what the platform writes."""
    from sqlalchemy import create_engine, text

    from motorisk.pipelines.simulate import simulate_portfolio
    from motorisk.simulation.portfolio import Simulation
    from motorisk.warehouse.embedded import EmbeddedPostgres
    from motorisk.warehouse.migrate import upgrade

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres")
        engine = create_engine(server.ensure_running().format(database="postgres"))
        try:
            upgrade(engine)
            simulate_portfolio(engine, Simulation(start=date(2024, 1, 1), months=12, policies_a_month=5_000))
            with engine.begin() as connection:
                rows = connection.scalar(text("SELECT count(*) FROM insurance.policy")) or 1
                connection.execute(text(VERSION))
                before = connection.scalar(text("SELECT pg_current_wal_insert_lsn()"))
                connection.execute(text(QUOTES))
                wal = connection.scalar(
                    text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :before)"), {"before": before}
                )
                connection.execute(text("CREATE TABLE motorisk.score_kept (LIKE motorisk.score INCLUDING ALL)"))
                connection.execute(text(SCORES))

                def size(pattern: str) -> float:
                    found = connection.scalar(
                        text(
                            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' "
                            "AND oid::regclass::text LIKE :pattern"
                        ),
                        {"pattern": pattern},
                    )
                    return float(found or 0) / rows

                return {
                    "policy": size("insurance.policy"),
                    "score": size("motorisk.score_kept"),
                    "quote": size("motorisk.quote\\_2%") + size("motorisk.quote\\_default%"),
                    "WAL of a quote": float(wal or 0) / rows,
                }
        finally:
            engine.dispose()
            server.stop()


def main() -> None:
    """Print the tables of docs/scaling.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the bytes of a row again")
    if parser.parse_args().measure:
        for name, size in measure().items():
            print(f"{name}: {size:.0f} bytes")
        return
    for heading, part in (("Quotes", quoting), ("Nights", nights)):
        found = [part(size) for size in SIZES]
        print(f"### {heading}\n\n{table({name: [one[name] for one in found] for name in found[0]})}\n")


if __name__ == "__main__":
    main()
