"""Segment's messages and warehouse tables."""
