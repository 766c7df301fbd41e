"""Roles of which `up` expects beats from their start give one before they import what they need.

The imports take half a second, and many on a busy machine, where the role was ended as one that
hangs.
"""

import os
import subprocess
import sys

import pytest

from common.errors import EXIT_CONFIG
from common.processes.heartbeat import BEAT, HEARTBEAT_FD_ENV
from common.processes.supervision.child import _message_pair
from tests.stack import environment


@pytest.mark.parametrize("role", ["consumers", "insight", "places", "hooks"])
def test_a_role_beats_before_it_reads_its_settings(role):
    ours, theirs = _message_pair()
    try:
        # Settings are read after the imports that take their time, and these end it.
        done = subprocess.run(
            (sys.executable, "-m", "deploy.cli", role),
            env=environment({HEARTBEAT_FD_ENV: str(theirs), "SHARDS": "none"}),
            pass_fds=(theirs,),
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        os.set_blocking(ours, False)
        assert (done.returncode, os.read(ours, 100)) == (EXIT_CONFIG, BEAT)
    finally:
        os.close(ours)
        os.close(theirs)
