"""How fast a portfolio is scored, against what Postgres itself needs.

    .venv/bin/python -m bench.scoring [--rows 1000000] [--rounds 5] [--pandas-rows 200000] [--partitions 1,4,1000]

Starts a PostgreSQL of its own in a temporary folder, fills it with policies, trains a champion and measures in rounds,
each of which takes every way in turn, so that whatever else the machine does hits all of them alike. Figures are
medians over the rounds; ratios are medians of each round's ratio to the floor of the same round. The floor is psql
copying the input columns out, and ready-made rows of the output in, with nothing else done; of CSV and binary the
faster is taken each time. `pip install adbc-driver-postgresql` adds its rows to the table.
"""

import argparse
import contextlib
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring import batches
from motorisk.pipelines.scoring.batches import OUTPUT_COLUMNS
from motorisk.pipelines.scoring.partition import in_force as policies_in_force
from motorisk.pipelines.scoring.partition import score_partition
from motorisk.pipelines.scoring.planning import Part, plan_scoring
from motorisk.pipelines.scoring.publishing import publish_scores
from motorisk.pipelines.scoring.renewals import year_before
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import champion, load_plan
from motorisk.scoring.pricing import assess, premiums
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.migrate import upgrade
from motorisk.warehouse.streaming import writing

AS_OF = date(2024, 2, 29)
FILL = """
INSERT INTO insurance.policy
SELECT 'P' || lpad(n::text, 9, '0'), NULL, date '2023-03-01' + (n % 365)::int, date '2024-03-01' + (n % 365)::int,
    random() < 0.2, 18 + 60 * random() * random(), random() < 0.45, greatest(1, random_normal(40, 5)),
    greatest(20, random_normal(130, 40)), greatest(5, random_normal(70, 25))
FROM generate_series(:first, :last) n
"""
_engine: Engine | None = None


@contextlib.contextmanager
def platform(rows: int) -> Iterator[tuple[EmbeddedPostgres, Engine, str]]:
    """A server with a champion and about so many policies in force; yields it and the address of its database."""
    with tempfile.TemporaryDirectory(prefix="motorisk-bench-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres")
        address = server.ensure_running()
        try:
            with create_engine(
                address.format(database="postgres"), isolation_level="AUTOCOMMIT"
            ).connect() as connection:
                connection.execute(text("CREATE DATABASE motorisk"))
            url = address.format(database="motorisk")
            engine = create_engine(url)
            upgrade(engine)
            simulate_portfolio(engine, Simulation(date(2023, 1, 1), months=1, policies_a_month=1500))
            configuration = TrainingConfiguration(candidates=("rules", "gam", "trend_gam"), search_trials=0)
            train(engine, Settings(home=Path(folder), user="bench", approval="auto"), date(2023, 1, 31), configuration)
            fill(engine, 1, rows)
            yield server, engine, url
            engine.dispose()
        finally:
            server.stop()


def fill(engine: Engine, first: int, last: int) -> None:
    """Add policies with numbers from `first` to `last`; there may be none of them."""
    with engine.begin() as connection:
        connection.execute(text("SELECT setseed(0.5)"))
        connection.execute(text(FILL), {"first": first, "last": last})
    vacuum(engine)


def vacuum(engine: Engine) -> None:
    """Leave no work for later that would fall into a measurement."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE insurance.policy"))


class Floor:
    """COPY out and COPY in by psql."""

    def __init__(self, server: EmbeddedPostgres, engine: Engine, url: str) -> None:
        self._psql = [server.program("psql"), url.replace("+psycopg2", ""), "-qX", "-v", "ON_ERROR_STOP=1", "-c"]
        self._engine = engine
        self._out = _as_sql(engine)
        self._columns = ", ".join(OUTPUT_COLUMNS)
        self._files = {format_: tempfile.TemporaryFile() for format_ in ("csv", "binary")}  # noqa: SIM115
        for format_, file in self._files.items():
            rows = f"SELECT {self._columns} FROM motorisk.score WHERE as_of = '{AS_OF}' ORDER BY policy_id"  # noqa: S608
            subprocess.run([*self._psql, f"COPY ({rows}) TO STDOUT (FORMAT {format_})"], check=True, stdout=file)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS floor"))
            connection.execute(text("CREATE TABLE floor (LIKE motorisk.score INCLUDING ALL)"))
            connection.execute(
                text(
                    f"ALTER TABLE floor ALTER as_of SET DEFAULT '{AS_OF}', ALTER version SET DEFAULT 1, "
                    "ALTER tariff SET DEFAULT 'standard'"
                )
            )

    def seconds(self) -> tuple[float, float]:
        """Out and in, each by the faster format."""
        out, into = [], []
        for format_, file in self._files.items():
            command = [*self._psql, f"COPY ({self._out}) TO STDOUT (FORMAT {format_})"]
            out.append(clock(lambda command=command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)))
            with self._engine.begin() as connection:
                connection.execute(text("TRUNCATE floor"))
            file.seek(0)
            command = [*self._psql, f"COPY floor ({self._columns}) FROM STDIN (FORMAT {format_})"]
            into.append(clock(lambda command=command, file=file: subprocess.run(command, check=True, stdin=file)))
        return min(out), min(into)


def clock(work: Callable[[], object]) -> float:
    """Seconds that work takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _as_sql(engine: Engine) -> str:
    whole = Part(AS_OF, 0, 1, None, None, 0)
    with engine.connect() as connection:
        before = year_before(connection, AS_OF)
        return str(policies_in_force(whole, before).as_string(connection.connection.driver_connection))


def _open(url: str) -> None:
    global _engine  # noqa: PLW0603
    _engine = create_engine(url)
    with _engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def _score(part: Part) -> int:
    assert _engine is not None  # noqa: S101
    return score_partition(_engine, part)


def in_parallel(engine: Engine, pool: ProcessPoolExecutor, partitions: int) -> None:
    """As Airflow does it, with workers that wait already."""
    plan = plan_scoring(engine, AS_OF, partitions=partitions)
    list(pool.map(_score, plan.missing))
    publish_scores(engine, AS_OF, plan.run_id)


class Adbc:
    """One partition read, or read and written, by the ADBC driver instead; the rest as the platform does it."""

    def __init__(self, engine: Engine, url: str) -> None:
        import adbc_driver_postgresql.dbapi

        self._engine = engine
        self._connection = adbc_driver_postgresql.dbapi.connect(url.replace("+psycopg2", ""))
        with engine.connect() as connection:
            self._plan = load_plan(connection, champion(connection).version)
            self._tariff = in_force(tariffs(connection), AS_OF)
        self._query = _as_sql(engine)

    def read_only(self) -> None:
        """ADBC out, COPY of CSV in."""
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE floor"))
            with self._connection.cursor() as cursor, writing(connection, "public.floor", OUTPUT_COLUMNS) as write:
                cursor.execute(self._query)
                for batch in cursor.fetch_record_batch():
                    for start in range(0, batch.num_rows, 65536):
                        write(batches.score_batch(self._plan, self._tariff, batch.slice(start, 65536)).content)

    def both(self) -> None:
        """ADBC out, ADBC in."""
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE floor"))
        with self._connection.cursor() as cursor, self._connection.cursor() as target:
            cursor.execute(self._query)
            table = cursor.fetch_arrow_table()
            target.adbc_ingest("floor", self._scores(table), mode="append", db_schema_name="public")
        self._connection.commit()

    def _scores(self, table: pa.Table) -> pa.RecordBatchReader:
        def made() -> Iterator[pa.RecordBatch]:
            for batch in table.to_batches(max_chunksize=65536):
                yield self._priced(batch)

        parts = made()
        first = next(parts)

        def again() -> Iterator[pa.RecordBatch]:
            yield first
            yield from parts

        return pa.RecordBatchReader.from_batches(first.schema, again())

    def _priced(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        features = batches._features(batch)
        dates = batch["effective_date"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
        found = assess(self._plan, features, dates)
        money = premiums(self._tariff, found.probabilities)
        cents = pa.decimal128(12, 2)
        columns = [
            batch["policy_id"],
            batches._names(batches.PREDICTORS, (~found.by_model).astype(np.int8)),
            batches._names(batches._CLASSES, found.classes),
            pa.array(found.expected_risk, from_pandas=True),
            *(pa.array(found.probabilities[:, i].astype(np.int32)) for i in range(3)),
            *(pa.array(values / 100).cast(cents) for values in (money.net, money.insurance_tax, money.gross)),
        ]
        return pa.record_batch(columns, names=list(OUTPUT_COLUMNS))


def against_pandas(engine: Engine, limit: int) -> Iterator[str]:
    """How much faster one process is than pandas, both with a portfolio of so many policies."""
    from bench.pandas_scoring import Pandas

    # Not those of the month that the champion was trained on.
    beyond = text("DELETE FROM insurance.policy WHERE policy_id > :last AND effective_date >= '2023-03-01'")
    with engine.begin() as connection:
        connection.execute(beyond, {"last": f"P{limit:09d}"})
    vacuum(engine)
    score_portfolio(engine, AS_OF)
    pandas = Pandas(engine, AS_OF)
    ways = {"the obvious pandas": pandas.obvious, "pandas with our vectorised pricing": pandas.vectorised}
    for name, way in ways.items():
        yield f"{name}: {pandas.checked(way, limit)}"  # and everything is loaded
        slow, quick = [], []
        for _ in range(3):
            slow.append(clock(lambda way=way: way(limit)))
            quick.append(clock(lambda: score_portfolio(engine, AS_OF)))
        times = statistics.median(own / other for own, other in zip(slow, quick, strict=True))
        own, other = statistics.median(slow), statistics.median(quick)
        yield f"{limit:,} policies: {name} {own:.2f} s, one process {other:.2f} s: {times:.1f} times faster"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pandas-rows", type=int, default=200_000, help="0: not measured")
    parser.add_argument("--partitions", default="4", help="numbers of partitions for the two workers, comma-separated")
    arguments = parser.parse_args()
    console = Console(width=120)
    with platform(arguments.rows) as (server, engine, url):
        rows = score_portfolio(engine, AS_OF).rows
        floor = Floor(server, engine, url)
        ways: dict[str, Callable[[], object]] = {
            "one process, one partition": lambda: score_portfolio(engine, AS_OF, partitions=1)
        }
        with contextlib.suppress(ImportError):
            adbc = Adbc(engine, url)
            ways["ADBC out, COPY in (no plan, no publishing)"] = adbc.read_only
            ways["ADBC out, ADBC in (no plan, no publishing)"] = adbc.both
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=_open, initargs=(url,)) as pool:
            for count in map(int, arguments.partitions.split(",")):
                ways[f"two workers, {count} partitions"] = lambda count=count: in_parallel(engine, pool, count)
            in_parallel(engine, pool, 4)  # both workers have loaded everything
            measured: dict[str, list[float]] = {name: [] for name in ("floor", "  COPY out", "  COPY in", *ways)}
            for _ in range(arguments.rounds):
                out, into = floor.seconds()
                for name, seconds in (("floor", out + into), ("  COPY out", out), ("  COPY in", into)):
                    measured[name].append(seconds)
                for name, way in ways.items():
                    measured[name].append(clock(way))
        table = Table(title=f"{rows:,} policies, {arguments.rounds} rounds", title_justify="left")
        for heading in ("", "seconds", "of the floor", "from … to"):
            table.add_column(heading, justify="left" if not heading else "right")
        for name, seconds in measured.items():
            ratios = [own / of for own, of in zip(seconds, measured["floor"], strict=True)]
            spread = f"{min(ratios):.2f} … {max(ratios):.2f}"
            table.add_row(name, f"{statistics.median(seconds):.2f}", f"{statistics.median(ratios):.2f}", spread)
        console.print(table)
        if arguments.pandas_rows:
            for sentence in against_pandas(engine, min(arguments.pandas_rows, rows)):
                console.print(sentence)


if __name__ == "__main__":
    main()
