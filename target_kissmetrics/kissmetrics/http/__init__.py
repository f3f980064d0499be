"""Requests to the tracking API: the dispatcher retries calls, at its pace, over a transport; and the Query API."""
