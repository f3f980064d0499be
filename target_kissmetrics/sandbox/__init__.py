r"""A local Kissmetrics: for trying a mapping before anything irreversible is sent, for demos and tests.

It takes calls as the tracking API does and keeps what Kissmetrics' documentation says it keeps. For the rest it names
the reason, which the real service never does. Data flows one way:

    HTTP request -> server -> Sandbox -> Model -> answers -> /api/ and the page
    import file  -> rules ------^  \-> a SQLite file, when asked for

`rules`, `model` and `answers` are pure. Only `server`, `running` and `cli` need the extra `sandbox`.
"""
