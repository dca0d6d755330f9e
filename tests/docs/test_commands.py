"""Every command block of README and documentation runs, and prints what the page says (`make docs-commands`)."""

from pathlib import Path

import pytest
from tests.docs.conftest import Follow
from tests.docs.pages import ROOT, with_commands


@pytest.mark.documentation
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", with_commands(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_do_what_it_says(page: Path, follow: Follow) -> None:
    follow(page)
