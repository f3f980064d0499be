"""Builds the wheel, installs it into a new environment, and runs tests against it.

    python scripts/wheel_test.py [PYTEST ARGUMENT...]

The tests run in a copy of the checkout without the package, so that they import the installed wheel. Needs pip's access
to PyPI, and git for the list of files. Everything is made in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
PACKAGE = "target_kissmetrics"
EXTRAS = "curl,parquet,postgres,s3,sandbox"


def main() -> int:
    """Run the command; give pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="wheel-test-") as name:
        folder = Path(name)
        python = make_environment(folder / "environment")
        run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "dist", ROOT)
        (wheel,) = (folder / "dist").glob("*.whl")
        tests = f"{ROOT / 'pyproject.toml'}:test"
        run(python, "-m", "pip", "install", "--quiet", f"{wheel}[{EXTRAS}]", "--group", tests)
        checkout = copy_checkout(folder / "checkout")
        command = [str(python.with_name("pytest")), *sys.argv[1:]]
        return subprocess.run(command, cwd=checkout, check=False).returncode


def make_environment(folder: Path) -> Path:
    """Make an environment; give its Python."""
    venv.create(folder, with_pip=True)
    python = folder / BIN / "python"
    run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")  # the first with --group
    return python


def copy_checkout(folder: Path) -> Path:
    """Copy the files that git tracks, but for the package."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith(f"{PACKAGE}/") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run(*command: str | Path) -> None:
    """Run a command; ends this program if it fails."""
    done = subprocess.run([str(word) for word in command], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
