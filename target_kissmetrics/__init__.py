"""Singer target for Kissmetrics.

Data flows one way, and the modules follow it:

    Singer message -> sink -> mapping -> memory -> Kissmetrics client -> Kissmetrics
                      (row)   (calls)    (changes)  (encode, send, retry)

`target` puts the parts together; `pipeline` holds the order in which rows are planned, sent, remembered and
their STATE passed on.
"""
