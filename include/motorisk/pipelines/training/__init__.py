"""The steps of a training, a module each, so that a task imports what its own step needs and no more."""
