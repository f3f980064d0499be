"""Makes `tests/` a place to import the fakes from."""
