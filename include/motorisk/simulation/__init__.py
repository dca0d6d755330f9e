"""The workshop's world, re-created: policies and outcomes whose features and meaning drift."""
