"""Flat kinds: a row is one event, one person's attributes, one alias or one assignment."""
