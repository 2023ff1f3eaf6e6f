"""What is missing is fetched whole or not at all, and said in one line when it cannot be."""

import os
from pathlib import Path

import pytest

from scripts.infra_servers import programs
from scripts.infra_servers.errors import CannotBeHad, DidNotStart
from scripts.infra_servers.programs import UnpackedPackage

_APT = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -o) shift ;;
    update) exit 0 ;;
    install) echo "Inst libsmall (1 Debian)"; echo "Inst libc6 [1] (2 Debian)"; echo "Conf libsmall"; exit 0 ;;
    download) shift; for name; do echo "$name" > "${name}_1_amd64.deb"; done; exit 0 ;;
  esac
  shift
done
"""
_DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin" && cp "$2" "$3/usr/bin/"
"""
_BROKEN = "#!/bin/sh\necho 'E: Could not resolve the host' >&2\nexit 100\n"


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    folder.mkdir()
    for name, text in scripts.items():
        program = folder / name.replace("_", "-")
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def package(tmp_path: Path) -> UnpackedPackage:
    (tmp_path / "downloads").mkdir()
    return UnpackedPackage("small", tmp_path / "downloads")


def test_package_is_unpacked_with_what_it_needs_and_without_a_second_c_library(
    package: UnpackedPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path / "bin", monkeypatch, apt_get=_APT, dpkg=_DPKG)
    package.fetch("server")
    assert [path.name for path in (package.root / "usr/bin").iterdir()] == ["libsmall_1_amd64.deb"]


def test_package_that_was_fetched_is_not_fetched_again(
    package: UnpackedPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path / "bin", monkeypatch, apt_get=_APT, dpkg=_DPKG)
    package.fetch("server")
    (tmp_path / "bin" / "apt-get").write_text(_BROKEN)
    package.fetch("server")
    assert package.root.exists()


def test_failed_download_is_told_by_its_last_line(
    package: UnpackedPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path / "bin", monkeypatch, apt_get=_BROKEN, dpkg=_DPKG)
    with pytest.raises(CannotBeHad, match="server: apt-get failed: E: Could not resolve the host"):
        package.fetch("server")


def test_failed_unpacking_leaves_no_package(
    package: UnpackedPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path / "bin", monkeypatch, apt_get=_APT, dpkg=_BROKEN)
    with pytest.raises(CannotBeHad):
        package.fetch("server")
    assert not package.root.exists()


def test_toolchain_that_only_root_can_install_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_on_path(tmp_path / "bin", monkeypatch, apt_get=_BROKEN)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotBeHad, match=r"root is needed once for: apt-get install .* java maven"):
        programs.install_toolchain("kafka", ["java", "maven"])


def test_program_that_is_nowhere_is_named() -> None:
    with pytest.raises(CannotBeHad, match="kafka: no-such-program is not on this machine"):
        programs.run("kafka", ["no-such-program"])


def test_failure_of_what_is_installed_is_not_taken_for_its_absence() -> None:
    with pytest.raises(DidNotStart, match="did not start: sh failed: disk full"):
        programs.run("kafka", ["sh", "-c", "echo disk full; exit 3"], failure=DidNotStart)


def test_only_unpacked_programs_are_shown_unpacked_libraries(package: UnpackedPackage) -> None:
    asked = (Path("/usr/bin/small"), package.root / "usr/bin/small")
    assert [bool(package.environment(program)) for program in asked] == [False, True]
