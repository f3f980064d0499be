"""The main job, for real: Meltano, tap-jsonl and this target over `demo/`, against a sandbox; `make demo` runs it.

Runs twice, the second time with a few users changed, prints what Kissmetrics then holds, and holds it against the
files. Exit 1 when they differ.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
FOLDER = ROOT / ".demo"
DATA = ROOT / "demo"
STORE = FOLDER / "sandbox.db"
CHANGED_USERS = 3


def main() -> int:
    """Run the demo; give the exit code."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    sandbox = [ROOT / ".venv" / BIN / "kissmetrics-sandbox", "--port", "0", "--store", STORE]
    with subprocess.Popen(sandbox, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            return _show(process.stdout.readline().strip())
        finally:
            process.terminate()


def _show(url: str) -> int:
    print(f"A local Kissmetrics listens at {url}")
    users = _rows("users")
    print("\nFirst run: events, users and orders of demo/")
    _run(url, DATA / "users.jsonl")
    print(f"\nSecond run: the same files again, {CHANGED_USERS} users with another plan")
    unchanged = _run(url, _changed(users))
    with urllib.request.urlopen(f"{url}/api/summary", timeout=10) as answer:
        held = json.load(answer)
    expected = {"events": len(_rows("events")) + len(_rows("orders")), "people": _people(), "revenue": str(_revenue())}
    print("\nKissmetrics now holds")
    for name in ("people", "events", "revenue", "aliases"):
        print(f"  {name:10} {held[name]}")
    print(f"  and {unchanged} unchanged attributes and aliases were not sent again in the second run")
    wrong = [
        f"{name}: {held[name]}, but the files hold {value}" for name, value in expected.items() if held[name] != value
    ]
    for line in wrong:
        print(f"  WRONG {line}")
    if not wrong:
        print("  just as the files do")
    print(f"\nLook at it: .venv/{BIN}/kissmetrics-sandbox --store .demo/sandbox.db   and open http://127.0.0.1:8765")
    print("Then your own data: docs/tutorial/first-events.md")
    return 1 if wrong or not unchanged else 0


def _run(url: str, users: Path) -> int:
    """Run Meltano over the three files; give how many unchanged attributes were not sent."""
    environment = {
        **os.environ,
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "0",
        "NO_COLOR": "1",
        "TAP_JSONL_USERS_PATH": str(users),
        "TARGET_KISSMETRICS_API_KEY": "demo",
        "TARGET_KISSMETRICS_TRACKING_URL": url,
        "TARGET_KISSMETRICS_ATTRIBUTE_STORE_URL": f"sqlite:///{(FOLDER / 'memory.db').as_posix()}",
        "TARGET_KISSMETRICS_REJECTS_PATH": str(FOLDER / "rejects.jsonl"),
    }
    taps = [part for name in ("events", "users", "orders") for part in (f"tap-jsonl-{name}", "target-kissmetrics")]
    command = [ROOT / ".venv-meltano" / BIN / "meltano", "run", "--full-refresh", *taps]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout[-4000:])
        sys.exit("the run failed; its last lines are above")
    summaries = re.findall(r"stream '\w+': [\d,]+ rows read.*?retries in the run", done.stdout)
    for summary in summaries:
        print(f"  {summary}")
    unchanged = re.findall(r"([\d,]+) unchanged not sent", " ".join(summaries))
    return sum(int(count.replace(",", "")) for count in unchanged)


def _rows(name: str) -> list[dict[str, Any]]:
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_float=Decimal) for line in lines]


def _changed(users: list[dict[str, Any]]) -> Path:
    """Write the users again, a few of them with another plan since."""
    changed = [
        {**user, "plan": "Enterprise", "updated_at": "2025-06-01T00:00:00Z"} if index < CHANGED_USERS else user
        for index, user in enumerate(users)
    ]
    path = FOLDER / "users.jsonl"
    path.write_text("".join(json.dumps(user, default=float) + "\n" for user in changed), encoding="utf-8")
    return path


def _people() -> int:
    """Count people: IDs that stand in one event are one person."""
    parent: dict[str, str] = {}

    def root(identity: str) -> str:
        parent.setdefault(identity, identity)
        while parent[identity] != identity:
            identity = parent[identity]
        return identity

    for row in [*_rows("events"), *_rows("users"), *_rows("orders")]:
        ids = [row[name] for name in ("user_id", "device_id") if row.get(name)]
        roots = [root(identity) for identity in ids]
        for other in roots[1:]:
            parent[other] = roots[0]
    return len({root(identity) for identity in parent})


def _revenue() -> Decimal:
    rows: list[Mapping[str, Any]] = [*_rows("orders"), *_rows("events")]
    amounts = [row.get("total", row.get("revenue")) for row in rows]
    return sum((Decimal(re.sub(r"[^\d.-]", "", str(amount))) for amount in amounts if amount is not None), Decimal(0))


if __name__ == "__main__":
    sys.exit(main())
