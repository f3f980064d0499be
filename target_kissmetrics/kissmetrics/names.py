"""When two names are the same to Kissmetrics."""


def folded(name: str) -> str:
    """Give the form in which two names are equal: names are not case-sensitive.

    Source: support.kissmetrics.io, "API Specifications".
    """
    return name.lower()
