"""A client of Kissmetrics that knows nothing of Singer.

calls         Record, Set, Alias; the protocol of the ways for them to Kissmetrics
limits        what Kissmetrics keeps
wire          a call -> a request (only here the API key enters)
import_files  calls -> import files
http/         calls -> requests to the tracking API
"""
