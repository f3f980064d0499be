"""What was sent is remembered, so that what did not change is not sent again.

digests     identities, names and values -> the few bytes that are remembered of them
changes     PURE: a call and what is known -> what is to be sent, and what will then be known
seconds     PURE but for one question to the store: which second a duplicate event moves to
collisions  events of this run that Kissmetrics would take for one
store       a small Protocol
sql_store   SQLite or PostgreSQL behind it
waiting     a store over another one, for deliveries that answer late
dry_run     a store that forgets everything at the end
"""
