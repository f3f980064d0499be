"""What was sent, so that unchanged values are not sent again.

digests   identities, names and values -> the few bytes the store keeps of them
intents   last sent values, and intents: what a run is about to send
packed    the last sent values of a person as bytes
update    what a batch and a run leave in the store
sql       the store in SQLite or PostgreSQL
layout    its tables, and how it connects
overlay   a store over another one, for dry runs and import files
"""
