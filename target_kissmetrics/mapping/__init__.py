"""From a row to calls: pure rules, without I/O and without the Singer SDK.

settings         what a mapping is told
stream           a stream's schema -> its mapping, decided once; the way in
detection        the kind of a stream that names none
event, user_attributes, alias, experiment
                 one module a kind
segment, mparticle, export
                 the message formats, each with modules of its own for its parts
people           who a row is about
properties       which fields become properties, and under which names
fields, names, values, times, amounts, revenue
                 paths and templates; names, texts, moments and money as Kissmetrics takes them
message_parts    what is expected where in a message, and how what is not so is told
mapped           what a row became
"""
