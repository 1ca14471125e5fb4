"""What pytest's plug-in does once it is asked for.

Two modes. `--otrace` makes one recording of the session, in which each test is an event; workers of
pytest-xdist are child processes of that recording. `--otrace-failed` and `--otrace-slow` make a
recording for each test, where it runs, and export those that are to be kept. No error of otrace
changes the outcome of a test: it is told in the summary. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import Any

import pytest

import otrace
from otrace import _lib
from otrace.config import parse_duration
from otrace.errors import OtraceError
from otrace.pytest_plugin.traces import (
    DEFAULT_EXPORTER,
    Job,
    export,
    jobs_of,
    line_of,
    missing,
    shown,
    stem_of,
)

PROPERTY = "otrace.trace"
OUTPUT = "otrace"
"""The key of a worker's lines."""
PROTOCOL = "pytest_runtest_protocol"
STATUS = {"passed": "pass", "failed": "fail", "skipped": "skip"}


def configure(config: pytest.Config) -> None:
    """Register what the given options need. Raises pytest.UsageError."""
    option = config.option
    per_test = bool(option.otrace_failed or option.otrace_slow is not None)
    jobs = jobs_of(option.otrace_export or [DEFAULT_EXPORTER], per_test=per_test)
    folder = os.path.join(config.invocation_params.dir, option.otrace_dir)
    is_worker = hasattr(config, "workerinput")
    register = config.pluginmanager.register
    if per_test:
        recordings = TestRecordings(config, jobs, folder)
        register(recordings)
        if not is_worker:
            register(KeptTraces(recordings.lines))
    else:
        register(TestEvents(config))
        if not is_worker:
            register(SessionRecording(jobs, folder))


def slow_of(text: str) -> int:
    """Nanoseconds. Raises pytest.UsageError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise pytest.UsageError(f"--otrace-slow is {text!r}: {error}") from None


class TestEvents:
    """Makes each test an event of the recording that runs.

    The calls of a test lie inside its event because the event begins and ends around pytest's own
    call of the hook: a hook's implementation would be inside it.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._event: otrace.Event | None = None
        self._name = ""
        self._status = "pass"
        self._error: BaseException | None = None
        around = config.pluginmanager.add_hookcall_monitoring
        self._undo = around(self._before_hook, self._after_hook)

    def pytest_unconfigure(self) -> None:
        """Leave pluggy as it was."""
        self._undo()

    def _before_hook(self, name: str, _hooks: object, arguments: Mapping[str, Any]) -> None:
        if name == PROTOCOL:
            self.begin(arguments["item"])

    def _after_hook(
        self, _outcome: object, name: str, _hooks: object, _arguments: Mapping[str, Any]
    ) -> None:
        if name == PROTOCOL:
            self.end()

    def begin(self, item: pytest.Item) -> None:
        """A test begins, its fixtures included."""
        self._name, self._status, self._error = item.nodeid, "pass", None
        self._event = otrace.log_event(item.nodeid, {"test.case.name": item.nodeid})
        self._event.__enter__()

    def end(self) -> None:
        """The test has ended."""
        event, error = self._event, self._error
        self._event = self._error = None
        if event is not None:
            event.set({"test.case.result.status": self._status})
            event.__exit__(None if error is None else type(error), error, None)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how the test went: a failure of any phase counts most."""
        report = yield
        if report.outcome != "passed" and self._status != "fail":
            self._status = STATUS[report.outcome]
            if report.failed and call.excinfo is not None:
                self._error = call.excinfo.value
        return report


class SessionRecording:
    """One recording of the whole session, exported at its end. In the process that people start."""

    def __init__(self, jobs: list[Job], folder: str) -> None:
        self._jobs, self._folder = jobs, folder
        self._ours = False
        self._lines: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Start, unless the session is recorded from outside, as by `otrace run pytest`."""
        if _lib.Status().recording:
            self._lines.append("recorded from outside; the tests are events in that recording")
            return
        try:
            otrace.start()
        except OtraceError as error:
            raise pytest.UsageError(f"--otrace: {error}") from None
        self._ours = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Stop and export; xdist's workers have ended before."""
        if not self._ours:
            return
        self._ours = False
        try:
            recording = otrace.stop()
            results, problems = export(recording, self._jobs, self._folder, "session")
            self._lines += [line_of(result) for result in results]
            self._lines += [*problems, *missing(recording)]
        except OtraceError as error:
            self._lines.append(str(error))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was written."""
        write_lines(terminalreporter, self._lines)

    def pytest_unconfigure(self) -> None:
        """A session that broke off before its end leaves no recording behind."""
        if self._ours:
            otrace.stop()


class TestRecordings(TestEvents):
    """A recording for each test, exported when it failed or was slow. Where the tests run."""

    def __init__(self, config: pytest.Config, jobs: list[Job], folder: str) -> None:
        super().__init__(config)
        self._config, self._jobs, self._folder = config, jobs, folder
        slow = config.option.otrace_slow
        self._keep_failed = bool(config.option.otrace_failed)
        self._slow_ns = None if slow is None else slow_of(slow)
        self._ours = False
        self._kept = False
        self._problem = ""
        self._duration_ns = 0
        self.lines: list[str] = []
        """What was written, and what went wrong."""

    def begin(self, item: pytest.Item) -> None:
        """Record the test, its fixtures included."""
        self._duration_ns, self._kept = 0, False
        self._problem = ""
        try:
            otrace.start()
            self._ours = True
        except OtraceError as error:
            self._problem = str(error)
        super().begin(item)

    def end(self) -> None:
        """Stop, and export what is to be kept: nothing of a test that broke off."""
        name = self._name
        super().end()
        if self._ours:
            self._ours = False
            self._problem = self._finish(name)
        if self._kept and self._problem:
            self.lines.append(f"{name}: {self._problem}")

    def _finish(self, name: str) -> str:
        """Returns what went wrong."""
        try:
            recording = otrace.stop()
            if self._kept:
                results, problems = export(recording, self._jobs, self._folder, stem_of(name))
                self.lines += [shown(result.target or "") for result in results]
                self.lines += [*problems, *missing(recording)]
        except OtraceError as error:  # the test stopped it itself, say
            return str(error)
        return ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Decide with the report of the last phase, and say in reports where traces will be."""
        report = yield from super().pytest_runtest_makereport(item, call)
        self._duration_ns += int(call.duration * 1e9)
        if call.when == "teardown":
            self._kept = self._wanted()
            if self._kept and self._ours:
                places = self._places(item.nodeid)
                report.user_properties.extend((PROPERTY, path) for path in places)
        if report.failed and self._keep_failed and not self._problem:
            lines = "\n".join(f"trace: {path}" for path in self._places(item.nodeid))
            report.sections.append(("otrace", lines))
        return report

    def _places(self, nodeid: str) -> list[str]:
        """Where the traces of a test are, or will be."""
        targets = (job.target_for(self._folder, stem_of(nodeid)) for job in self._jobs)
        return [shown(target) for target in targets if target is not None]

    def _wanted(self) -> bool:
        if self._keep_failed and self._status == "fail":
            return True
        return self._slow_ns is not None and self._duration_ns >= self._slow_ns

    def pytest_sessionfinish(self) -> None:
        """A worker of pytest-xdist hands its lines to the process that people look at."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[OUTPUT] = self.lines


class KeptTraces:
    """Tells once, at the end, what was kept. In the process that people look at."""

    def __init__(self, lines: list[str]) -> None:
        """`lines`: of the tests that run in this process."""
        self._lines = lines

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended."""
        self._lines += getattr(node, "workeroutput", {}).get(OUTPUT, [])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was written."""
        write_lines(terminalreporter, self._lines)


def write_lines(reporter: Any, lines: list[str]) -> None:
    """A section of the terminal's summary."""
    if lines:
        reporter.section("otrace")
        for line in lines:
            reporter.line(line)
