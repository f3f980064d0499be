"""What Kissmetrics would hold of the import files in a folder, asked as a faulty host is asked."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from target_kissmetrics.sandbox import answers
from target_kissmetrics.sandbox.model import Duplicates
from target_kissmetrics.sandbox.service import Sandbox, calls_of_file

ARRIVED = 1_800_000_000


class HeldInFiles:
    """Imports all files that Kissmetrics would take, in its order, whenever there are others than before.

    Args:
        folder: Where they are, or will be.
        base: Their names start with it.
        duplicates: The rule that the sandbox keeps.
    """

    requests = 0

    def __init__(self, folder: Path, base: str, duplicates: Duplicates = "current") -> None:
        self._folder = folder
        self._base = base
        self._lock = threading.Lock()
        self._names: list[str] = []
        self._duplicates = duplicates
        self._sandbox = Sandbox(duplicates=duplicates)
        self.served: Counter[str] = Counter()

    def summary(self) -> answers.Json:
        with self._lock:
            return answers.summary(self._now().model)

    def person(self, identity: str) -> answers.Json | None:
        with self._lock:
            return answers.person(self._now().model, identity)

    def not_kept(self) -> Counter[str]:
        with self._lock:
            return Counter(entry["reason"] for entry in answers.not_kept(self._now().model, limit=10_000))

    def _now(self) -> Sandbox:
        names = sorted(path.name for path in self._folder.glob(f"{self._base}*.json"))
        if names != self._names:
            self._names, self._sandbox = names, Sandbox(duplicates=self._duplicates)
            for name in names:
                self._sandbox.take_all(calls_of_file(self._folder / name, ARRIVED))
        return self._sandbox
