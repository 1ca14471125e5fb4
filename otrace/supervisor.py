"""Runs the program in its own process and stands in for it: signals, stops, the way it ended.

The program inherits everything: streams, descriptors, process group, signal mask and dispositions.
The supervisor keeps all signals blocked and takes them one by one, so nothing is lost between them;
when the supervisor itself is killed, the program goes on undisturbed.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from otrace.errors import UsageError
from otrace.program import Program
from otrace.witness import Witness

# Faults of the supervisor itself, what cannot be blocked, and what Python ignores.
NOT_TAKEN = {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGSYS,
    signal.SIGABRT,
    signal.SIGPIPE,
    signal.SIGXFSZ,
}
# From the kernel these concern the supervisor's own use of the processor.
OWN_LIMITS = {signal.SIGXCPU, signal.SIGPROF, signal.SIGVTALRM}
STOPS = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
RESET_IN_PROGRAM = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them from its start
INTERRUPTS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
TAKEN = frozenset(signal.valid_signals()) - NOT_TAKEN


@dataclass(frozen=True)
class Ended:
    """How the program ended: one of the two is set."""

    status: int | None = None
    signal: int | None = None

    @property
    def words(self) -> str:
        """Such as "killed by SIGSEGV", "ended with status 3"."""
        if self.signal is None:
            return f"ended with status {self.status}"
        return f"killed by {signal_name(self.signal)}"


def signal_name(number: int) -> str:
    """SIGTERM for 15; "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def run(
    program: Program,
    environment: Mapping[str, str],
    *,
    on_start: Callable[[int], None] | None = None,
    kept_descriptors: Collection[int] = (),
) -> Ended:
    """Run the program to its end. For a process that does nothing else, with one thread.

    Gives up standard input and output and all inherited descriptors except `kept_descriptors`.
    Afterwards SIGINT, SIGQUIT, SIGTERM and SIGHUP raise KeyboardInterrupt. Raises UsageError when
    it cannot be started.
    """
    child_signals = signal.getsignal(signal.SIGCHLD)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how the program ended
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    witness = Witness.start(TAKEN)
    try:
        pid = start(program, environment, mask, child_signals)
        release_descriptors(kept_descriptors)
        if on_start is not None:
            on_start(pid)
        ended = wait(pid, witness)
    finally:
        if witness is not None:
            witness.close()
        while signal.sigtimedwait(TAKEN, 0) is not None:
            pass  # what is still pending was meant for the program
        for number in INTERRUPTS:
            signal.signal(number, interrupt)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # the program may keep the terminal
        signal.pthread_sigmask(signal.SIG_SETMASK, mask - set(INTERRUPTS))
    return ended


def interrupt(number: int, frame: object) -> NoReturn:
    """Signal handler while exporting."""
    raise KeyboardInterrupt


def start(
    program: Program, environment: Mapping[str, str], mask: Collection[int], child_signals: object
) -> int:
    """Start the program with the signal mask `mask`; returns its process id.

    Forked by hand: glibc's posix_spawn leaves two of its own signals ignored in the program.
    """
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        raise UsageError(f"cannot start {program.name}: {error.strerror}") from None
    if pid == 0:
        try:
            become(program, environment, mask, child_signals)
        except OSError as error:
            os.write(writing, f"{program.executable}: {error.strerror}".encode(errors="replace"))
        except ValueError as error:  # a NUL character in an argument
            os.write(writing, f"{program.name}: {error}".encode(errors="replace"))
        finally:
            os._exit(127)
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as file:
        failure = file.read()  # ends when the program is there: it does not inherit the pipe
    if failure:
        os.waitpid(pid, 0)
        raise UsageError(f"cannot start {failure}")
    return pid


def become(
    program: Program, environment: Mapping[str, str], mask: Collection[int], child_signals: object
) -> NoReturn:
    """In the new process: become the program. Raises OSError, ValueError."""
    for number in RESET_IN_PROGRAM:
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # one that came already ends the program
    if child_signals == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        os.execve(program.executable, program.argv, environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script whose first line names no interpreter: shells run it themselves.
        os.execve("/bin/sh", ("sh", program.executable, *program.argv[1:]), environment)


def release_descriptors(kept: Collection[int]) -> None:
    """Let go of what the program inherited, so that its closing a pipe is seen at the other end."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1):
        if standard not in kept:
            os.dup2(null, standard)
    os.close(null)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        with suppress(OSError):
            if number > 2 and number not in kept and os.get_inheritable(number):
                os.close(number)


def wait(pid: int, witness: Witness | None) -> Ended:
    """Wait for the program and mirror signals; never for its children. Reaps orphans as PID 1."""
    while True:
        ended = reap(pid)
        if ended is not None:
            return ended
        info = signal.sigwaitinfo(TAKEN)
        number = info.si_signo
        if number == signal.SIGCHLD:
            continue
        from_kernel = info.si_code > 0
        if from_kernel and number in OWN_LIMITS:
            continue
        to_group = from_kernel if witness is None else witness.heard(number)
        if not to_group:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def reap(pid: int) -> Ended | None:
    """Collect all children that changed; returns how `pid` ended, if it has."""
    options = os.WNOHANG | os.WUNTRACED | os.WCONTINUED
    while True:
        changed, status = os.waitpid(-1, options)
        if changed == 0:
            return None
        if changed != pid:
            continue
        if os.WIFEXITED(status):
            return Ended(status=os.WEXITSTATUS(status))
        if os.WIFSIGNALED(status):
            return Ended(signal=os.WTERMSIG(status))
        if os.WIFSTOPPED(status):
            stop_like(pid, os.WSTOPSIG(status))


def stop_like(pid: int, number: int) -> None:
    """Stop this process as the program was stopped, until somebody continues it."""
    if signal.SIGCONT in signal.sigpending() or not is_stopped(pid):
        return  # continued meanwhile: stopping now would lose that
    if number not in STOPS or signal.getsignal(number) == signal.SIG_IGN:
        number = signal.SIGSTOP
    os.kill(os.getpid(), number)  # blocked as yet, so that it is one with what the terminal sent
    if number != signal.SIGSTOP:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped just now."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except OSError:
        return False


def end_like(ended: Ended) -> NoReturn:
    """End this process as the program ended. PID 1 cannot kill itself: it exits with 128 + n."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if ended.signal is None:
        os._exit(ended.status or 0)
    if os.getpid() != 1:
        die_by(ended.signal)
    os._exit(128 + ended.signal)


def die_by(number: int) -> None:
    """Kill this process by a signal, without a core dump."""
    import resource

    with suppress(OSError, ValueError):
        # A file needs more than one byte; 1 also stops the programs that take dumps by a pipe.
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        limit = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
        resource.setrlimit(resource.RLIMIT_CORE, (limit, hard))
    with suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
