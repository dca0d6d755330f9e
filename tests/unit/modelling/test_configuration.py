"""The training configuration: a YAML file, overrides, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from motorisk.errors import SettingsError
from motorisk.modelling.configuration import GateThresholds, TrainingConfiguration, load_configuration

IN_FORCE = Path(__file__).resolve().parents[3] / "dags" / "config" / "training.yaml"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "training.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path | None, *overrides: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load_configuration(path, overrides)
    return str(refused.value)


# --- the file in force ------------------------------------------------------------------------------------------------


def test_the_configuration_in_force_is_the_librarys_default() -> None:
    assert load_configuration(IN_FORCE) == TrainingConfiguration()


def test_the_configuration_in_force_states_every_value() -> None:
    stated = yaml.safe_load(IN_FORCE.read_text(encoding="utf-8"))
    assert stated.keys() == TrainingConfiguration.model_fields.keys()
    assert stated["gates"].keys() == GateThresholds.model_fields.keys()


# --- reading ------------------------------------------------------------------------------------------------------


def test_without_a_file_the_defaults_hold() -> None:
    found = load_configuration(None)
    assert found.candidates == ("rules", "gam", "trend_gam", "classifier", "boosting", "neural_net")
    assert (found.knots, found.window_months, found.folds, found.seed) == (10, 3, 5, 0)
    assert found.gates.model_dump() == {
        "min_accuracy": 0.85,
        "max_accuracy_spread": 0.05,
        "max_share_difference": 0.05,
        "min_certainty": 0.75,
        "max_certainty": 0.99,
        "min_yardstick_accuracy": 0.75,
        "max_calibration_error": 0.05,
        "max_segment_error": 0.15,
        "max_segment_excess": 0.25,
        "max_loss_to_champion": 0.01,
        "max_price_shock": 0.6,
        "max_quote_milliseconds": 1.0,
    }


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, "knots: 7\ngates:\n  min_accuracy: 0.9\n")
    expected = TrainingConfiguration(knots=7, gates=GateThresholds(min_accuracy=0.9))
    assert load_configuration(path) == expected
    assert expected != TrainingConfiguration()


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "---\n"])
def test_a_file_that_says_nothing_means_the_defaults(tmp_path: Path, text: str) -> None:
    assert load_configuration(write(tmp_path, text)) == TrainingConfiguration()


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("knots=5", ("knots",), 5),
        ("seed=42", ("seed",), 42),
        ("candidates=[gam]", ("candidates",), ("gam",)),
        ("gates.min_accuracy=0.9", ("gates", "min_accuracy"), 0.9),
        ("gates.max_certainty=1", ("gates", "max_certainty"), 1.0),
    ],
)
def test_an_override_changes_one_value(override: str, path: tuple[str, ...], value: Any) -> None:
    found: Any = load_configuration(None, [override])
    expected = TrainingConfiguration().model_dump()
    inner = expected
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    assert found.model_dump() == expected


def test_overrides_win_over_the_file_and_the_last_over_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, "knots: 7\nfolds: 3\ngates:\n  min_accuracy: 0.9\n  min_certainty: 0.6\n")
    found = load_configuration(path, ["knots=8", "gates.min_accuracy=0.95", "knots=9"])
    assert (found.knots, found.folds, found.gates.min_accuracy, found.gates.min_certainty) == (9, 3, 0.95, 0.6)


def test_overrides_of_one_run_do_not_reach_the_next() -> None:
    load_configuration(None, ["knots=5", "gates.min_accuracy=0.1"])
    assert load_configuration(None) == TrainingConfiguration()


def test_a_configuration_cannot_be_changed() -> None:
    found = load_configuration(None)
    with pytest.raises(ValidationError, match="frozen"):
        found.knots = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        found.gates.min_accuracy = 0.0  # type: ignore[misc]


# --- refusing -----------------------------------------------------------------------------------------------------


@pytest.mark.bad_input("training configuration")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("knot: 7", "training configuration: knot: Extra inputs are not permitted, got 7"),
        ("gates:\n  accuracy: 0.9", "training configuration: gates.accuracy: Extra inputs are not permitted, got 0.9"),
        ("knots: many", "training configuration: knots: Input should be a valid integer"),
        ("knots: 2.5", "training configuration: knots: Input should be a valid integer"),
        ("knots: [2]", "training configuration: knots: Input should be a valid integer, got [2]"),
        ("knots: 1", "training configuration: knots: Input should be greater than or equal to 2, got 1"),
        ("knots: 101", "training configuration: knots: Input should be less than or equal to 100, got 101"),
        ("folds: 1", "training configuration: folds: Input should be greater than or equal to 2, got 1"),
        ("folds: 21", "training configuration: folds: Input should be less than or equal to 20, got 21"),
        ("window_months: 0", "training configuration: window_months: Input should be greater than or equal to 1"),
        ("seed:", "training configuration: seed: Input should be a valid integer, got None"),
        ("candidates: [boosted]", "training configuration: candidates.0: Input should be 'rules', 'gam'"),
        (
            "candidates: [rules]",
            "training configuration: the whole: Value error, candidates must name gam or trend_gam",
        ),
        ("gates: strict", "training configuration: gates: Input should be a valid dictionary"),
        (
            "gates:\n  min_accuracy: 85",
            "training configuration: gates.min_accuracy: Input should be less than or equal",
        ),
        ("gates:\n  min_accuracy: .nan", "training configuration: gates.min_accuracy: "),
        ("gates:\n  min_accuracy: high", "training configuration: gates.min_accuracy: Input should be a valid number"),
        ("gates:\n  max_certainty: 0.7", "training configuration: gates: Value error, min_certainty is above"),
        ("7: 7", "training configuration: 7: "),
    ],
)
def test_a_wrong_key_or_value_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    found = refusal(write(tmp_path, text))
    assert found.startswith(message)
    assert "\n" not in found


@pytest.mark.bad_input("training configuration")
@pytest.mark.parametrize("text", ["- knots", "knots", "7", "false"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert refusal(path) == f"the training configuration {path} must be a mapping"


@pytest.mark.bad_input("training configuration")
@pytest.mark.parametrize(
    "text", ["knots: [", "\tknots: 7", "a: b: c", "!!python/object/apply:os.system ['true']", "? [a]\n: b"]
)
def test_a_file_that_is_no_plain_yaml_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert refusal(path).startswith(f"cannot read the training configuration {path}: ")


@pytest.mark.bad_input("training configuration")
def test_a_file_that_is_not_there_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    assert str(path) in refusal(path)
    assert str(tmp_path) in refusal(tmp_path)


@pytest.mark.bad_input("training configuration")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("knots", "an override is written name=value, got 'knots'"),
        ("=7", "an override is written name=value, got '=7'"),
        ("", "an override is written name=value, got ''"),
        ("knot=7", "training configuration: knot: Extra inputs are not permitted, got 7"),
        ("knots=many", "training configuration: knots: Input should be a valid integer"),
        ("knots=", "training configuration: knots: Input should be a valid integer, got None"),
        ("knots=[", "training configuration: knots: cannot read '['"),
        ("gates.accuracy=0.9", "training configuration: gates.accuracy: Extra inputs are not permitted, got 0.9"),
        ("gates.min_accuracy=2", "training configuration: gates.min_accuracy: Input should be less than or equal to 1"),
        ("gates=0.9", "training configuration: gates: Input should be a valid dictionary"),
        ("gates.min_certainty=0.995", "training configuration: gates: Value error, min_certainty is above"),
    ],
)
def test_a_wrong_override_is_named_in_one_line(override: str, message: str) -> None:
    found = refusal(None, override)
    assert found.startswith(message)
    assert "\n" not in found


@pytest.mark.bad_input("training configuration")
def test_a_part_of_a_plain_value_cannot_be_overridden(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "knots: 7"), "knots.inner=3") == (
        "training configuration: knots.inner: knots has no parts"
    )


@pytest.mark.bad_input("training configuration")
def test_a_file_that_is_no_text_is_refused_with_its_path(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xff\xfek\x00n\x00")
    assert str(path) in refusal(path)


@pytest.mark.bad_input("training configuration")
@pytest.mark.parametrize("value", ["2025-13-45", "!!int many", "0b_"])
def test_a_value_that_yaml_itself_cannot_read_is_refused_by_its_name(value: str) -> None:
    assert "seed" in refusal(None, f"seed={value}")


@pytest.mark.bad_input("training configuration")
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "\n" not in refusal(write(tmp_path, "knots: ["))


@pytest.mark.bad_input("training configuration")
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_random_generator_takes_is_refused(seed: int) -> None:
    assert "seed" in refusal(None, f"seed={seed}")
