"""SIGTERM as an interrupt, for programs that have no loop."""

import signal

import pytest

from common.processes.signals import stop_as_interrupt


def test_sigterm_ends_the_block_and_the_earlier_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stop_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
