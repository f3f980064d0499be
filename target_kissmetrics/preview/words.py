"""Names of fields and streams, taken apart into words."""

from __future__ import annotations

import re

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[\W_]+")
_IRREGULAR = {"people": "person", "children": "child", "statuses": "status", "data": "data", "news": "news"}
_NOT_PLURAL = ("ss", "us", "is")


def words(name: str) -> tuple[str, ...]:
    """Give a name's words in lower case: `orderDate`, `order_date` and `Order-Date` are `order`, `date`."""
    return tuple(word for word in _BETWEEN.split(_CAMEL.sub("_", name).lower()) if word)


def singular(word: str) -> str:
    """Give an English noun's singular, as well as a few rules can."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(_NOT_PLURAL):
        return word[:-1]
    return word


def stream_words(stream: str) -> tuple[str, ...]:
    """Give the words of a stream's own name, without a database's or schema's in front, the last one singular."""
    own = re.split(r"[-./]", stream.strip("-./ "))[-1]
    found = words(own)
    return (*found[:-1], singular(found[-1])) if found else ()


def title(parts: tuple[str, ...]) -> str:
    """Write words as a name: `Order Item`."""
    return " ".join(part[:1].upper() + part[1:] for part in parts)
