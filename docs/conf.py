"""The documentation's site: `make docs`. Nothing in it is loaded from elsewhere, and a broken link stops the build."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_reference

project = "Motorisk"
author = "the Motorisk team"
version = release = version_of("motorisk")
extensions = ["myst_parser"]
exclude_patterns = ["_build", "generate"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_title = "Motorisk"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Okabe and Ito's blue: enough contrast on both of Furo's backgrounds.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#005a8c", "color-brand-content": "#005a8c"},
    "dark_css_variables": {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9"},
}


def setup(app: Sphinx) -> None:
    """Make the reference before Sphinx looks for pages."""
    app.connect("config-inited", lambda app, config: write_reference(Path(app.srcdir) / "reference"))
