"""The library that these DAGs were written for: every DAG imports this before anything of the library.

A push changes the DAGs, an image the library. Where the two do not fit, each DAG is refused with the same line, under
Import Errors: no run of it starts, and nothing works with half of either.
"""

import os
from importlib.metadata import version

from packaging.specifiers import SpecifierSet

WRITTEN_FOR = SpecifierSet(">=0.1,<0.2")
"""Raise the lower end with the first use of something new in the library, both with what it takes away."""

_installed = version("motorisk")
if not WRITTEN_FOR.contains(_installed, prereleases=True):
    _tag = os.environ.get("MOTORISK_IMAGE_TAG")
    _image = f"image {_tag}" if _tag else "installation"
    raise ImportError(
        f"these DAGs were written for motorisk {WRITTEN_FOR}, this {_image} has {_installed}: "
        "roll out the image that fits, or push the DAGs that do"
    )
