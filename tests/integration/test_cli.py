"""The command line as its users meet it."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation

Run = Callable[..., Any]
Json = Callable[..., Any]
NO_DATABASE = {"MOTORISK_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}


@pytest.fixture
def trained(built_once: Callable[..., Engine]) -> None:
    """A month of 600 policies, and the champion trained on it."""

    def build(warehouse: Engine, settings: Settings) -> None:
        simulate_portfolio(warehouse, Simulation(start=date(2023, 1, 1), months=1, policies_a_month=600))
        configuration = TrainingConfiguration(candidates=("rules", "gam", "trend_gam"), search_trials=0)
        assert train(warehouse, settings, date(2023, 1, 31), configuration).approved

    built_once(build)


def test_the_whole_story_from_policies_to_performance(as_json: Json) -> None:
    simulated = as_json("simulate", "--start", "2023-01", "--months", "15", "--policies", "600")
    assert simulated["inserted"] == 9000

    trained = as_json("train", "--as-of", "2023-01-31")
    assert {"version", "state", "as_of", "candidate", "rows", "metrics", "gates"} <= trained.keys()
    assert {"accuracy", "log_loss", "rmse"} <= trained["metrics"].keys()
    assert all({"name", "value", "threshold", "passed"} <= gate.keys() for gate in trained["gates"])
    assert (trained["state"], trained["as_of"], trained["rows"]) == ("approved", "2023-01-31", 600)

    models = as_json("models")
    assert [(model["version"], model["state"]) for model in models] == [(trained["version"], "approved")]

    scored = as_json("score", "--as-of", "2024-02-15")
    assert {"as_of", "version", "tariff", "rows", "by_predictor", "by_class", "seconds"} <= scored.keys()
    assert sum(scored["by_class"].values()) == scored["rows"]

    drift = as_json("drift", "--as-of", "2024-02-29")
    assert {"as_of", "version", "rows", "dataset_drift", "features", "report"} <= drift.keys()
    assert drift["features"]["miles"].keys() >= {"score", "method", "threshold", "drifted"}
    assert drift["features"]["miles"]["says"].startswith("miles drifts since about 2023-")
    assert Path(drift["report"]).exists()

    performance = as_json("performance", "--as-of", "2024-02-29")
    assert performance["month"] == "2023-02"
    assert performance["version"] == trained["version"]
    assert performance["rows"] == 600
    assert 0.8 < performance["accuracy"] < 1
    assert performance["log_loss"] > 0
    assert performance["actual_to_expected"]["high"] == pytest.approx(1, abs=0.2)
    assert [month["month"] for month in performance["months"] if month["rows"]] == ["2023-02"]
    unknown = performance["months"][-1]
    assert (unknown["month"], unknown["rows"], unknown["accuracy"]) == ("2024-02", 0, None)
    assert 0.8 < unknown["estimated_accuracy"] < 1
    assert "nothing is judged by it" in performance["estimate"]
    assert performance["alarms"] == []
    assert {"version", "rows", "e_value", "threshold", "since"} == performance["promises"][0].keys()


def test_people_get_tables(motorisk: Run) -> None:
    motorisk("simulate", "--start", "2023-01", "--months", "2", "--policies", "600")
    trained = motorisk("train", "--as-of", "2023-01-31")
    assert trained.returncode == 0, trained.stderr
    assert "hold-out accuracy" in trained.stdout
    assert "Champion: all gates passed." in trained.stdout
    assert "approved" in motorisk("models").stdout
    assert "net premium a year" in motorisk("score", "--as-of", "2023-02-15").stdout
    again = motorisk("score", "--as-of", "2023-02-16", "--with-champion", "--workers", "2", "--partitions", "3")
    assert again.returncode == 0, again.stderr
    assert "since 2023-02-15" in again.stdout
    assert "No outcome" in motorisk("performance", "--as-of", "2023-02-15").stdout


def test_people_are_told_of_a_broken_promise_in_one_plain_line(motorisk: Run, as_json: Json) -> None:
    motorisk("simulate", "--start", "2023-01", "--months", "12", "--policies", "600", "--label-delay", "1")
    motorisk("train", "--as-of", "2023-01-31")
    shown = motorisk("performance", "--as-of", "2024-02-15").stdout
    assert "estimated accuracy*" in shown
    assert "* the mean of the versions' own certainty: it stays high where a version is wrong" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("Alarm: ")]
    (alarm,) = as_json("performance", "--as-of", "2024-02-15")["alarms"]
    assert line == f"Alarm: {alarm['reason']}"
    assert f"version 1 does worse than it promised since {alarm['since']} (evidence " in line


def test_approval_by_people_from_the_shell(
    motorisk: Run, as_json: Json, warehouse: Engine, offer: Callable[..., int]
) -> None:
    as_json("simulate", "--start", "2023-01", "--months", "1", "--policies", "600")
    first = as_json("train", "--as-of", "2023-01-31", MOTORISK_APPROVAL="human")
    assert first["state"] == "validated"
    refused = motorisk("approve", str(first["version"]), "--by", "tess")
    assert refused.returncode == 1
    assert "somebody else has to approve" in refused.stderr
    assert as_json("approve", str(first["version"]), "--by", "uma", "--comment", "fine")["state"] == "approved"

    second, third = offer(warehouse, 1.0), offer(warehouse, 2.0)
    as_json("approve", str(second), "--by", "uma")
    assert as_json("rollback", "--by", "uma")["version"] == first["version"]
    assert as_json("reject", str(third), "--by", "uma")["state"] == "rejected"
    assert {model["version"]: model["state"] for model in as_json("models")} == {
        first["version"]: "approved",
        second: "retired",
        third: "rejected",
    }


@pytest.mark.usefixtures("trained")
def test_a_card_shows_what_a_version_does_beside_the_champion(motorisk: Run, as_json: Json) -> None:
    other = as_json("train", "--as-of", "2023-01-31", "--set", "knots=8", MOTORISK_APPROVAL="human")
    card = as_json("models", "show", str(other["version"]))["card"]
    assert f"**version**: {other['version']} (validated)" in card
    assert "| feature | value | risk index against average | change a month | version 1 | difference |" in card
    assert "Too few months have matured" in card
    assert "Relativities" in motorisk("models", "show", "1").stdout
    assert motorisk("models", "show", "99").returncode == 1


@pytest.mark.usefixtures("trained")
def test_a_card_is_written_as_a_page_to_a_file_or_to_stdout(motorisk: Run, tmp_path: Path) -> None:
    done = motorisk("models", "show", "1", "--html", str(tmp_path / "card.html"))
    assert (done.returncode, done.stdout.strip()) == (0, f"Wrote {tmp_path / 'card.html'}")
    page = (tmp_path / "card.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<svg ") == 6
    assert motorisk("models", "show", "1", "--html", "-").stdout.rstrip() == page.rstrip()
    elsewhere = tmp_path / "no" / "card.html"
    refused = motorisk("models", "show", "1", "--html", str(elsewhere))
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"Not written or read: {elsewhere}: No such file or directory"
    assert not elsewhere.parent.exists()
    both = motorisk("models", "show", "1", "--html", "-", "--json")
    assert both.returncode == 2
    assert "choose one of --html and --json" in both.stderr


def test_a_timelapse_prints_a_line_a_month_or_a_table_and_a_picture(motorisk: Run, tmp_path: Path) -> None:
    motorisk("simulate", "--start", "2023-01", "--months", "4", "--policies", "300")
    done = motorisk("timelapse", "--from", "2023-02", "--to", "2023-04", "--set", "candidates=[gam]", "--json")
    assert done.returncode == 0, done.stderr
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert [frame["month"] for frame in frames] == ["2023-02", "2023-03", "2023-04"]
    assert list(frames[0]) == [
        "month",
        "champion",
        "candidate",
        "drifted",
        "accuracy",
        "log_loss",
        "accuracy_once",
        "accuracy_monthly",
        "accuracy_oracle",
    ]
    shown = motorisk("timelapse", "--from", "2023-02", "--to", "2023-02", "--set", "candidates=[gam]")
    assert "labels at once (oracle)" in shown.stdout
    picture = Path(shown.stdout.split("Picture: ")[1].strip())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert motorisk("timelapse", "--from", "2023-05", "--to", "2023-04").returncode == 2


@pytest.mark.bad_input("command line")
def test_a_day_that_has_not_come_is_refused(motorisk: Run) -> None:
    done = motorisk("train", "--as-of", "2199-01-01")
    assert done.returncode == 1
    assert "2199-01-01 has not come yet" in done.stderr


@pytest.mark.bad_input("command line")
def test_a_kind_of_report_that_nothing_writes_is_refused(motorisk: Run) -> None:
    done = motorisk("drift", "--as-of", "2024-01-31", "--kind", "quotes")
    assert done.returncode == 2
    assert "only --html writes a report" in done.stderr


def test_a_missed_gate_prints_the_version_and_exits_with_one(motorisk: Run, as_json: Json) -> None:
    as_json("simulate", "--start", "2023-01", "--months", "1", "--policies", "600")
    done = motorisk("train", "--as-of", "2023-01-31", "--set", "gates.min_accuracy=0.99", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["state"] == "rejected"
    assert "hold-out accuracy is 0." in done.stderr
    assert "must be >= 0.99" in done.stderr


def test_importing_files(motorisk: Run, as_json: Json, tmp_path: Path) -> None:
    header = "policy_id;effective_date;training;age;emergency_braking;braking_distance;power;miles;colour"
    rows = ["p1;2024-01-01;0;35;1;40.5;90;20.5;red", "p2;2024-01-01;0;3;1;40.5;90;20.5;red"]
    file = tmp_path / "policies.csv.gz"
    file.write_bytes(gzip.compress("\n".join([header, *rows]).encode()))
    done = motorisk("import", file.name)
    assert done.returncode == 0, done.stderr
    assert "colour" in done.stdout + done.stderr
    assert "age" in done.stdout + done.stderr
    again = as_json("import", file.name)
    assert (again["files"][0]["policies"], again["files"][0]["unchanged"]) == (0, 1)
    missing = motorisk("import", "nothing.csv")
    assert missing.returncode == 1
    assert "nothing.csv" in missing.stderr


@pytest.mark.bad_input("command line")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train"], "--as-of"),
        (["train", "--as-of", "31.01.2023"], "YYYY-MM-DD"),
        (["score", "--as-of", "9999-12-31"], "a year lies between 1000 and 8999, got 9999"),
        (["simulate", "--start", "9999-12"], "a year lies between 1000 and 8999, got 9999"),
        (["quote", "replay", "--from", "2026-05-01", "--to", "2026-04-01"], "--to is before --from"),
        (["quote", "replay", "--from", "2900-01-01"], "--to is before --from"),
        (["shadow", "report", "1", "--from", "2026-05-01", "--to", "2026-04-01"], "--to is before --from"),
        (["scores", "retain", "--keep-months", "99999"], "--keep-months"),
        (["scores", "retain", "--keep-days", "9999999"], "--keep-days"),
        (["monitor", "--once", "--timeout", "inf"], "--timeout"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_told_without_a_database(in_process: Run, arguments: list[str], line: str) -> None:
    done = in_process(NO_DATABASE, *arguments)
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.bad_input("command line")
def test_what_is_wrong_is_said_in_one_line(motorisk: Run) -> None:
    for arguments, line in (
        (["train", "--as-of", "2023-01-31"], "no outcome of any policy was known on 2023-01-31"),
        (["train", "--as-of", "2023-01-31", "--set", "knot=2"], "knot"),
        (["score", "--as-of", "2023-01-31"], "no model is approved yet"),
        (["drift", "--as-of", "2023-01-31"], "no model is approved yet"),
        (["performance", "--as-of", "2023-01-31"], "no model was ever approved"),
        (["approve", "17", "--by", "uma"], "no model version 17"),
        (["rollback", "--by", "uma"], "no champion"),
    ):
        done = motorisk(*arguments)
        assert done.returncode == 1, arguments
        assert line in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.fault("wrong setting")
def test_a_wrong_setting_is_named(motorisk: Run) -> None:
    done = motorisk("models", MOTORISK_APROVAL="auto")
    assert done.returncode == 1
    assert "MOTORISK_APROVAL; did you mean MOTORISK_APPROVAL?" in done.stderr


@pytest.mark.fault("wrong database")
def test_a_database_that_is_away_is_one_line(motorisk: Run) -> None:
    done = motorisk("models", MOTORISK_DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/nothing")
    assert done.returncode == 1
    assert "cannot reach the database" in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.fault("migrations behind")
def test_the_database_commands(motorisk: Run, as_json: Json, server_environment: dict[str, str]) -> None:
    assert as_json("db", "status")["running"] is True
    assert as_json("db", "downgrade", "base", "--yes")["after"] is None
    behind = motorisk("models")
    assert behind.returncode == 1
    assert "motorisk db upgrade" in behind.stderr
    assert as_json("db", "upgrade")["after"] == as_json("db", "status")["needed"]
    assert as_json("db", "url")["url"].startswith("postgresql://")
    assert motorisk("db", "stop").returncode == 1


@pytest.mark.parametrize(
    "command",
    [
        "simulate",
        "import",
        "train",
        "models",
        "approve",
        "score",
        "drift",
        "drift-ui",
        "performance",
        "timelapse",
        "serve",
        "clients",
        "demo",
        "db",
    ],
)
def test_every_command_explains_itself(in_process: Run, command: str) -> None:
    done = in_process(NO_DATABASE, command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_the_installed_program_runs_in_a_process_of_its_own(server_environment: dict[str, str]) -> None:
    program = Path(sys.executable).parent / "motorisk"
    done = subprocess.run(
        [program, "models", "--json"], env=server_environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
    refused = subprocess.run(
        [program, "rollback", "--by", "uma"], env=server_environment, capture_output=True, check=False
    )
    assert refused.returncode == 1


def test_simulated_months_as_files_need_no_database_and_are_what_the_warehouse_would_get(
    motorisk: Run, as_json: Json, tmp_path: Path
) -> None:
    world = ["--months", "2", "--policies", "30", "--start", "2024-01"]
    done = motorisk("simulate", *world, "--csv", "months", MOTORISK_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "months").iterdir())
    assert [file.name for file in files] == ["policies-2024-01.csv", "policies-2024-02.csv"]
    assert as_json("simulate", *world)["inserted"] == 60
    for imported in as_json("import", *map(str, files))["files"]:
        assert (imported["rows"], imported["unchanged"]) == (30, 30)
    before = [file.read_bytes() for file in files]
    assert as_json("simulate", *world, "--csv", "months")["files"] == [f"months/{file.name}" for file in files]
    assert [file.read_bytes() for file in files] == before
