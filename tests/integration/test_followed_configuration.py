"""Which change of the training configuration asks for a training: each once, whatever goes wrong between."""

from sqlalchemy import Connection, Engine, select

from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.pipelines.configuration import Change, begin_training, notice, remember
from motorisk.warehouse.tables import training_configuration

TEN = TrainingConfiguration.model_validate({"knots": 10, "gates": {"min_accuracy": 0.85}})
TWO = TrainingConfiguration.model_validate({"knots": 2, "gates": {"min_accuracy": 0.85}})
COMMIT = "0123456789abcdef"


def _notice(warehouse: Engine, configuration: TrainingConfiguration, commit: str | None = COMMIT) -> Change | None:
    with warehouse.begin() as connection:
        return notice(connection, configuration, commit)


def _asked(warehouse: Engine, configuration: TrainingConfiguration) -> Change:
    change = _notice(warehouse, configuration)
    assert change is not None
    with warehouse.begin() as connection:
        remember(connection, change.number)
    return change


def _begin(warehouse: Engine, configuration: TrainingConfiguration, *wanted: str, run: str = "run") -> bool:
    with warehouse.begin() as connection:
        return begin_training(connection, configuration, run, wanted)


def _runs(connection: Connection) -> list[str | None]:
    return list(
        connection.scalars(select(training_configuration.c.training_run).order_by(training_configuration.c.number))
    )


def test_the_first_configuration_is_no_change_and_a_change_says_what_and_in_which_commit(warehouse: Engine) -> None:
    assert _notice(warehouse, TEN) is None
    assert _notice(warehouse, TEN, "another commit that changes nothing here") is None
    change = _notice(warehouse, TWO)
    assert change is not None
    assert change.reason == "push 0123456789: knots 10 → 2"


def test_a_local_folder_has_no_commit_and_what_goes_falls_back_on_its_default(warehouse: Engine) -> None:
    _notice(warehouse, TEN, None)
    change = _notice(warehouse, TrainingConfiguration(knots=12), None)
    assert change is not None
    assert change.reason == "training.yaml: gates.min_accuracy 0.85 → default, knots 10 → 12"


def test_a_change_is_asked_for_until_somebody_noted_that_it_was(warehouse: Engine) -> None:
    _notice(warehouse, TEN)
    assert _notice(warehouse, TWO) == _notice(warehouse, TWO)  # killed before it could ask
    _asked(warehouse, TWO)
    assert _notice(warehouse, TWO) is None
    back = _asked(warehouse, TEN)
    assert back.reason == "push 0123456789: knots 2 → 10"
    assert _notice(warehouse, TEN) is None


def test_a_training_that_began_by_itself_is_enough(warehouse: Engine) -> None:
    _notice(warehouse, TEN)
    _notice(warehouse, TWO)
    assert _begin(warehouse, TWO, run="monthly clock")
    assert _notice(warehouse, TWO) is None
    assert _begin(warehouse, TWO, run="another")
    with warehouse.connect() as connection:
        assert _runs(connection) == [None, "monthly clock"]


def test_a_run_that_is_pinned_to_the_configuration_before_does_not_answer_a_push(warehouse: Engine) -> None:
    _notice(warehouse, TEN)
    change = _asked(warehouse, TWO)
    assert not _begin(warehouse, TEN, change.digest)
    again = _asked(warehouse, TWO)
    assert again == change
    assert _begin(warehouse, TWO, again.digest)
    assert _notice(warehouse, TWO) is None


def test_a_training_for_another_reason_goes_on_with_what_it_is_pinned_to(warehouse: Engine) -> None:
    _notice(warehouse, TEN)
    _asked(warehouse, TWO)
    assert _begin(warehouse, TEN)
    assert _notice(warehouse, TWO) is None  # its own training is under way


def test_a_run_that_is_pinned_to_a_newer_push_than_it_was_started_for_trains_that(warehouse: Engine) -> None:
    _notice(warehouse, TEN)
    two = _asked(warehouse, TWO)
    three = TrainingConfiguration(knots=3)
    assert _notice(warehouse, three) is not None
    assert _begin(warehouse, three, two.digest)
    assert _notice(warehouse, three) is None


def test_the_first_training_comes_before_the_first_look(warehouse: Engine) -> None:
    assert _begin(warehouse, TEN)
    assert _notice(warehouse, TEN) is None
