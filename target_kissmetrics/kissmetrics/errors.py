"""Why a delivery ended. The texts never hold a request's URL: the API key is in it."""

from __future__ import annotations


class DeliveryError(Exception):
    """Kissmetrics did not take a call, and the delivery stopped."""


class Unreachable(DeliveryError):  # noqa: N818 - it reads as what happened
    """Retried for the whole of the retry budget without an answer that counts. Run again later."""


class Refused(DeliveryError):  # noqa: N818 - it reads as what happened
    """Answered in a way that no retry mends: a wrong address, a proxy in between, an unexpected status."""
