"""What Kissmetrics keeps of what it is sent; the rest it drops without a word.

Source: support.kissmetrics.io, "API Specifications" and "Data limits".
"""

from __future__ import annotations

MAX_IDENTITY_CHARACTERS = 255
MAX_NAME_CHARACTERS = 255
"""Of an event's or a property's name."""

MAX_VALUE_BYTES = 8192
"""Of a property's value in UTF-8."""

EARLIEST_TIME = 1230768000
"""2009-01-01T00:00:00Z. Data from before is not kept."""

LATEST_TIME = 4102444800
"""2100-01-01T00:00:00Z. Not Kissmetrics' limit but ours: what lies behind it is a misread number, and Kissmetrics
could never be rid of it."""
