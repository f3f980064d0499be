"""Limits of what Kissmetrics keeps; it drops the rest silently.

Source: support.kissmetrics.io, "API Specifications" and "Data limits".
"""

from __future__ import annotations

MAX_IDENTITY_CHARACTERS = 255
MAX_NAME_CHARACTERS = 255
"""Of an event's or a property's name."""

MAX_NAMES = 65_535
"""Of events, and of properties, in a product, permanently."""

MAX_VALUE_CHARACTERS = 512
"""Of a property's value. An older page says 8 KB ("Data limits")."""

LARGEST_VALUE_CHARACTERS = 8192
"""The highest limit that a product may have set for it."""

EARLIEST_TIME = 1230768000
"""2009-01-01T00:00:00Z. Earlier data is not kept."""

LATEST_TIME = 4102444800
"""2100-01-01T00:00:00Z. Our limit, not Kissmetrics': a later time is a misread number. It would be kept permanently."""
