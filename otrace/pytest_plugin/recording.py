"""What pytest's plug-in does once it is asked for.

Two modes. `--otrace` makes one recording of the session, in which each test is an event; workers of
pytest-xdist are child processes of that recording. `--otrace-failed` and `--otrace-slow` make a
recording for each test, where it runs, and export those that are to be kept. No error of otrace
changes the outcome of a test: it is told in the summary. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import suppress
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
PROBLEM = "otrace.problem"
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
        register(TestRecordings(config, jobs, folder))
        if not is_worker:
            register(KeptTraces())
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
        self._status, self._error = "pass", None
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
        self._jobs, self._folder = jobs, folder
        slow = config.option.otrace_slow
        self._keep_failed = bool(config.option.otrace_failed)
        self._slow_ns = None if slow is None else slow_of(slow)
        self._ours = False
        self._duration_ns = 0
        self._problem = ""

    def begin(self, item: pytest.Item) -> None:
        """Record the test, its fixtures included."""
        self._start()
        super().begin(item)

    def end(self) -> None:
        """Drop the recording of a test that broke off before its teardown was reported."""
        super().end()
        if self._ours:
            self._ours = False
            stop_quietly()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Record a test that is run again too."""
        if not self._ours:
            self._start()

    def _start(self) -> None:
        self._duration_ns, self._problem = 0, ""
        try:
            otrace.start()
            self._ours = True
        except OtraceError as error:
            self._problem = str(error)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep or drop the recording with the report of the last phase."""
        report = yield from super().pytest_runtest_makereport(item, call)
        self._duration_ns += int(call.duration * 1e9)
        if call.when == "teardown":
            self._finish(item, report)
        if report.failed and self._keep_failed and not self._problem:
            paths = [job.target_for(self._folder, stem_of(item.nodeid)) for job in self._jobs]
            lines = "\n".join(f"trace: {shown(path)}" for path in paths if path is not None)
            report.sections.append(("otrace", lines))
        return report

    def _finish(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Stop, export what is to be kept, and let the report tell the controller."""
        wanted = self._wanted()
        if self._ours:
            self._ours = False
            try:
                recording = otrace.stop()
                if wanted:
                    stem = stem_of(item.nodeid)
                    results, problems = export(recording, self._jobs, self._folder, stem)
                    places = [shown(result.target or "") for result in results]
                    add_properties(report, PROPERTY, places)
                    add_properties(report, PROBLEM, [*problems, *missing(recording)])
            except OtraceError as error:
                self._problem = str(error)
        if wanted and self._problem:
            add_properties(report, PROBLEM, [f"{item.nodeid}: {self._problem}"])

    def _wanted(self) -> bool:
        if self._keep_failed and self._status == "fail":
            return True
        return self._slow_ns is not None and self._duration_ns >= self._slow_ns


class KeptTraces:
    """Collects from the reports, also those of xdist's workers, what was kept; tells it once."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a report tells of."""
        for key, value in report.user_properties:
            if key in (PROPERTY, PROBLEM):
                self._lines.append(str(value))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was written."""
        write_lines(terminalreporter, self._lines)


def add_properties(report: pytest.TestReport, key: str, values: list[str]) -> None:
    """Properties travel with reports between processes, and are shown in JUnit's XML."""
    report.user_properties.extend((key, value) for value in values)


def stop_quietly() -> None:
    """Stop and drop what was recorded."""
    with suppress(OtraceError):  # the test stopped it itself
        otrace.stop()


def write_lines(reporter: Any, lines: list[str]) -> None:
    """A section of the terminal's summary."""
    if lines:
        reporter.section("otrace")
        for line in lines:
            reporter.line(line)
