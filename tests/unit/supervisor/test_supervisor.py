"""The parts of the supervisor that need no program."""

import os
import signal

import pytest

from otrace.supervisor import NOT_TAKEN, TAKEN, Ended, signal_name
from otrace.witness import Witness


def test_words():
    assert Ended(status=3).words == "ended with status 3"
    assert Ended(signal=11).words == "killed by SIGSEGV"
    assert signal_name(signal.SIGRTMIN + 5) == f"signal {signal.SIGRTMIN + 5}"


def test_taken_are_all_that_concern_the_program():
    for number in ("INT", "TERM", "HUP", "QUIT", "USR1", "CONT", "TSTP", "WINCH", "CHLD", "ALRM"):
        assert getattr(signal, f"SIG{number}") in TAKEN
    assert not TAKEN & NOT_TAKEN


@pytest.fixture
def witness():
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    witness = Witness.start(TAKEN)
    yield witness
    witness.close()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_the_witness_tells_what_it_got(witness):
    assert not witness.heard(signal.SIGUSR1)
    os.kill(witness.pid, signal.SIGUSR1)
    os.kill(witness.pid, signal.SIGUSR2)
    assert witness.heard(signal.SIGUSR1)
    assert not witness.heard(signal.SIGUSR1)
    assert witness.heard(signal.SIGUSR2), "asked for later, not forgotten"
    assert not witness.heard(signal.SIGUSR2)


def test_a_stopped_witness_answers_and_claims_no_continue(witness):
    os.kill(witness.pid, signal.SIGSTOP)
    os.waitpid(witness.pid, os.WUNTRACED)
    assert not witness.heard(signal.SIGCONT)
    os.kill(witness.pid, signal.SIGCONT)
    assert witness.heard(signal.SIGCONT)


def test_the_witness_holds_nothing_open(witness):
    witness.heard(signal.SIGUSR1)  # it answers when it has closed everything
    held = os.listdir(f"/proc/{witness.pid}/fd")
    assert len(held) == 2


def test_the_witness_ends_with_its_pipe(witness):
    with open(os.devnull) as null:
        os.dup2(null.fileno(), witness._process.orders)
    assert os.waitpid(witness.pid, 0) == (witness.pid, 0)
