"""Requests to the tracking API: dispatch, retry, pacing and the two transports."""
