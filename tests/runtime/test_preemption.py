"""Signals: exit with the requeue code at once, or recorded while something is to be saved."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jdrl_lightning.runtime.preemption import REQUEUE, SIGNALS, Notice, notice, requeueing


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_with_nothing_to_save_the_process_exits_at_once(number: signal.Signals) -> None:
    assert os.EX_TEMPFAIL == REQUEUE
    with requeueing(), pytest.raises(SystemExit) as ended:
        os.kill(os.getpid(), number)
    assert ended.value.code == REQUEUE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_deferred_signal_is_recorded(number: signal.Signals) -> None:
    with requeueing():
        notice.deferred = True
        assert not notice.received
        os.kill(os.getpid(), number)
        assert notice.received
    assert not notice.received
    assert not notice.deferred


def test_earlier_handlers_are_restored() -> None:
    before, mine = handlers(), Notice()
    with requeueing():
        assert handlers() == [notice, notice]
        signal.signal(signal.SIGTERM, mine)  # as Lightning does
        notice.install()
        assert handlers() == [notice, notice]
    assert handlers() == before
    with pytest.raises(KeyError), requeueing():
        raise KeyError
    assert handlers() == before


def test_outside_the_main_thread_nothing_is_installed() -> None:
    before, inside = handlers(), []

    def run() -> None:
        with requeueing():
            inside.extend(handlers())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == before == handlers()
