"""From a row to calls: pure rules, without I/O and without the Singer SDK.

detection     the way in: a stream's schema -> its kind and its mapping
registry      the kinds, each declared in its own module of `kinds` or `formats`
settings      the settings of the mapping, and the keys of `streams`
stream        a stream before its first row; the protocols of a kind and a mapping; `shard`: a slice of people
rules         identity, time, names, values, amounts, properties: what the kinds share
result        what a row becomes; `reject_codes`: why a part of it is not sent
"""
