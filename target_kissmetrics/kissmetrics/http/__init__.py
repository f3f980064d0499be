"""Requests to the tracking API.

dispatcher  many calls, each retried until it is acknowledged
retry       what to do after an attempt: pure policy
pacing      when a request may start
transport   the protocol of the two HTTP clients: one attempt of one request -> an outcome
client      which of them is used, and whether a host can be the tracking API
query_api   reads what a product has
"""
