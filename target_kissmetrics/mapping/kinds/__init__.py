"""Flat rows: one event, one person's attributes, one alias or one assignment a row."""
