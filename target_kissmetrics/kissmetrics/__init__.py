"""A client of Kissmetrics that knows nothing of Singer.

calls         Record, Set, Alias
limits        what Kissmetrics keeps
wire          a call -> a request (only here the API key enters)
delivery      the protocol of the ways for calls to Kissmetrics
import_files  calls -> import files
http/         calls -> requests to the tracking API
"""
