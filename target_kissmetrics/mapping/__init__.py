"""From a row to calls: pure rules, without I/O and without the Singer SDK.

settings         what a mapping is told
stream           a stream's schema -> its mapping, decided once; the way in
detection        the kind of a stream that names none
event, user_attributes, alias, experiment
                 one module a kind
people           who a row is about
properties       which fields become properties, and under which names
fields, names, values, times, amounts
                 paths and templates; names, texts, moments and money as Kissmetrics takes them
mapped           what a row became
"""
