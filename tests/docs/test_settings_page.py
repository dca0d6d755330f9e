"""The reference of settings tells the defaults that are made when a program starts, too."""

import importlib
import os
from typing import Any

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings
from tests.docs.pages import ROOT


@pytest.fixture
def settings_page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("generate.settings")


def test_a_default_that_is_made_is_told_in_the_words_of_its_setting(settings_page: Any) -> None:
    class Machine(BaseSettings):
        cores: int = Field(
            default_factory=lambda: os.cpu_count() or 1,
            json_schema_extra={"default_is": "all cores of the machine"},
            description="Cores to work with",
        )

    page = settings_page.page(Machine)
    assert "| `MOTORISK_CORES` | whole number | all cores of the machine | Cores to work with |" in page
    assert "| `MOTORISK_USER` | text | your login |" in settings_page.page()


def test_a_default_that_is_made_and_not_described_stops_the_build(settings_page: Any) -> None:
    class Machine(BaseSettings):
        cores: int = Field(default_factory=lambda: os.cpu_count() or 1, description="Cores to work with")

    with pytest.raises(ValueError, match="cores: say what its default is"):
        settings_page.page(Machine)
