"""The built documentation works from a folder, without a server or a network."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MKDOCS = ROOT / ".venv-docs" / ("Scripts" if os.name == "nt" else "bin") / "mkdocs"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "scripts" / "docs_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "html",
    [
        '<link rel="stylesheet" href="https://fonts.example.com/css">',
        '<link rel="preconnect" href="//fonts.example.com">',
        '<script src="https://cdn.example.com/a.js"></script>',
        '<img alt="" src="//img.example.com/a.png">',
        '<img alt="" src="a.png" srcset="https://img.example.com/a.png 2x">',
        '<iframe src="https://video.example.com"></iframe>',
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(tmp_path: Path, hooks: ModuleType, html: str) -> None:
    (tmp_path / "index.html").write_text(html, encoding="utf-8")
    assert len(list(hooks.loaded_from_elsewhere(tmp_path))) == 1


@pytest.mark.parametrize(
    "css", ["a { background: url('https://img.example.com/a.png') }", '@import "//x.example/a.css"']
)
def test_what_a_style_loads_from_elsewhere_is_found(tmp_path: Path, hooks: ModuleType, css: str) -> None:
    (tmp_path / "main.css").write_text(css, encoding="utf-8")
    assert len(list(hooks.loaded_from_elsewhere(tmp_path))) == 1


def test_links_that_a_reader_may_follow_are_none(tmp_path: Path, hooks: ModuleType) -> None:
    html = (
        '<link rel="canonical" href="https://a.example/"><a href="https://a.example/">there</a><img alt="" src="a.png">'
    )
    (tmp_path / "index.html").write_text(html, encoding="utf-8")
    assert list(hooks.loaded_from_elsewhere(tmp_path)) == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not MKDOCS.exists():
        pytest.skip("mkdocs is not installed (make .venv-docs/.ready); `make docs` builds and checks the same")
    folder = tmp_path_factory.mktemp("site")
    command = [str(MKDOCS), "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path, hooks: ModuleType) -> None:
    assert len(list(site.rglob("*.html"))) > 30
    assert list(hooks.loaded_from_elsewhere(site)) == []


def test_the_search_works_from_a_folder(site: Path) -> None:
    """A page opened from a folder cannot start a worker or fetch: it needs the shim, and the index as a script."""
    page = (site / "how-to" / "orders.html").read_text(encoding="utf-8")
    assert '<script src="../assets/iframe-worker.js">' in page
    assert (site / "assets" / "iframe-worker.js").exists()
    assert "spread_duplicates" in (site / "search" / "search_index.js").read_text(encoding="utf-8")
