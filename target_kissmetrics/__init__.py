"""Singer target for Kissmetrics.

Data flows one way, and the packages follow it:

    Singer message -> singer -> mapping -> sync, with store -> kissmetrics -> Kissmetrics
                      (row)     (calls)    (what is new)       (encode, send, retry)

`runtime` builds the parts; `sync.pipeline` has the order: rows are planned, sent and stored, then STATE is emitted.
"""
