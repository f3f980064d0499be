"""The real target, fed with bytes in this process; what may come of it, whatever the bytes are."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from promises import unaccounted

from target_kissmetrics.exact_json import decode
from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing, Record
from target_kissmetrics.kissmetrics.limits import MAX_VALUE_CHARACTERS
from target_kissmetrics.kissmetrics.wire import Encoder
from target_kissmetrics.reporting.logs import in_one_line
from target_kissmetrics.runtime import Runtime
from target_kissmetrics.target import TargetKissmetrics

KEY = "0123456789abcdef"
SIGNALS = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class _Taking:
    """A delivery that acknowledges everything at once."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        self._calls += [outgoing.call for outgoing in calls]
        acknowledged()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """Nothing is open."""


class _Runtime(Runtime):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.calls: list[Call] = []
        self.states: list[Any] = []
        self.finished: list[dict[str, int]] = []
        super().__init__(*arguments, **{**named, "emit": self.states.append})

    def _make_delivery(self, *_: Any) -> Any:
        return _Taking(self.calls)

    def close(self, stopped_by: str | None = None) -> None:
        for counts in self._counts.values():
            figures = counts.figures()
            self.finished.append({**figures, "accepted": counts.still_accepted, "parts": counts.parts})
        super().close(stopped_by)


class _Target(TargetKissmetrics):
    runtime_class = _Runtime


class Ended:
    """How a run ended.

    Attributes:
        error: The one line of the error that ended it; None when it ended well.
        calls: What was sent.
        states: STATE values that were passed on.
        rejects: Lines of the rejects file.
        counts: Of each stream.
    """

    def __init__(self, runtime: _Runtime, error: str | None, rejects: list[dict[str, Any]]) -> None:
        self.error = error
        self.calls = runtime.calls
        self.states = runtime.states
        self.counts = runtime.finished
        self.rejects = rejects


def feed(folder: Path, data: bytes, **settings: Any) -> Ended:
    """Run the target over bytes."""
    path = folder / "rejects.jsonl"
    config = {"api_key": KEY, "attribute_store_url": "sqlite://", "rejects_path": str(path), **settings}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    error = None
    target = _Target(config=config)
    try:
        target.listen(io.BytesIO(data))  # type: ignore[arg-type]
    except Exception as problem:  # noqa: BLE001 - as the command itself catches all
        error = in_one_line(problem)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    assert isinstance(target.runtime, _Runtime)
    return Ended(target.runtime, error, [decode(line, []) for line in lines])


def check(ended: Ended) -> None:
    """Hold what came of a run against what may come of any."""
    if ended.error is not None:
        assert "please report" not in ended.error, ended.error
        assert "\n" not in ended.error
        assert KEY not in ended.error
    encoder = Encoder(KEY)
    for call in ended.calls:
        _check_call(call)
        encoder.encode(call)
    for line in ended.rejects:
        assert line["reason"]
        assert line["code"]
    if ended.error is None:
        assert [counts for counts in ended.counts if unaccounted(counts)] == []


def _check_call(call: Call) -> None:
    assert 0 < len(call.person.strip()) <= 255
    if isinstance(call, Alias):
        assert 0 < len(call.other.strip()) <= 255
        return
    if isinstance(call, Record):
        assert 0 < len(call.event) <= 255
    assert 1_230_768_000 <= call.time < 4_102_444_800
    for name, value in call.properties.items():
        assert 0 < len(name) <= 255
        assert not name.startswith("_")
        assert 0 < len(value) <= MAX_VALUE_CHARACTERS
