"""When two names are equal to Kissmetrics."""


def folded(name: str) -> str:
    """Return the form in which equal names are identical: names are not case-sensitive.

    Source: support.kissmetrics.io, "API Specifications".
    """
    return name.lower()
