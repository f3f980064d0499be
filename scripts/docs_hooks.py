"""A hook of `make docs`: the build fails if a page loads anything from another host.

The site must work offline, and must not send anything about its readers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

_LOADS = {"src", "srcset", "data", "poster"}
_LOADING_LINKS = {"stylesheet", "preconnect", "dns-prefetch", "preload", "modulepreload", "icon", "manifest"}
_ELSEWHERE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_IN_STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


class _Loaded(HTMLParser):
    """Collects the addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses of one element."""
        values = {name: value or "" for name, value in attrs}
        self.addresses += [values[name] for name in values if name in _LOADS]
        if tag == "link" and _LOADING_LINKS.intersection(values.get("rel", "").lower().split()):
            self.addresses.append(values.get("href", ""))


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """Yield `page: address` for whatever the pages and styles of a built site load from other hosts."""
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            page = _Loaded()
            page.feed(path.read_text(encoding="utf-8"))
            addresses = [address for address in page.addresses if _ELSEWHERE.match(address)]
        elif path.suffix == ".css":
            addresses = _IN_STYLE.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        for address in addresses:
            yield f"{path.relative_to(site).as_posix()}: {address}"


def on_post_build(config: Mapping[str, str], **_: object) -> None:
    """Fail the build if the site loads anything from another host."""
    from mkdocs.exceptions import PluginError  # noqa: PLC0415 - the tests import this module without mkdocs

    found = list(loaded_from_elsewhere(Path(config["site_dir"])))
    if found:
        raise PluginError("the site must work offline, but loads\n  " + "\n  ".join(found))
