"""A client of Kissmetrics that knows nothing of Singer: calls, as requests (`http`) or as lines of import files."""
