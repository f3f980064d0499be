"""Rows that are messages of other tools."""
