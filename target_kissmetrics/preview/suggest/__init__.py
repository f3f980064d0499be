"""Suggests entries of `streams`: which column is the person, the time, the name, the money."""
