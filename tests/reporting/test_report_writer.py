"""Where a report goes: whole, its owner's alone, and found out before the run begins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.reporting.report_writer import check_report_path, report_paths, write_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has modes and links of this kind")


def test_a_page_has_its_figures_for_programs_beside_it() -> None:
    assert report_paths("out/report.html") == (Path("out/report.html"), Path("out/report.json"))
    assert report_paths("out/report.JSON") == (None, Path("out/report.JSON"))


@pytest.mark.parametrize("name", ["report", "report.txt", "report.html.gz", ".html"])
def test_another_ending_is_refused_and_the_right_ones_are_named(name: str) -> None:
    with pytest.raises(ConfigError, match=r"report_path: must be a path that ends in \.html or \.json"):
        report_paths(name)


def test_a_folder_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write a file in .*missing: "):
        check_report_path(str(tmp_path / "missing" / "report.html"))


@pytest.mark.parametrize("name", ["report.html", "report.json"])
def test_a_folder_in_its_place_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="is a folder or"):
        check_report_path(str(tmp_path / "report.html"))


@posix
def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="a symbolic link; name"):
        check_report_path(str(tmp_path / "report.html"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that takes no file, not even from root: Linux")
def test_a_folder_that_takes_no_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot write a file in /proc: .*; .*name another folder"):
        check_report_path("/proc/report.html")


def test_the_check_leaves_nothing_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("before")
    check_report_path(str(tmp_path / "report.html"))
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "before"


def test_a_file_takes_the_place_of_the_last_one_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("before")
    path.chmod(0o644)
    write_whole(path, "after \udc80 é")
    assert path.read_text(encoding="utf-8") == "after \\udc80 é"
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_what_breaks_off_leaves_the_last_one_and_nothing_half(tmp_path: Path) -> None:
    path = tmp_path / "folder.json"
    path.mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's to say
        write_whole(path, "x")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.json"]
