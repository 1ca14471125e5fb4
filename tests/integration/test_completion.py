"""Completion in the shells themselves, set up as docs/terminal.md says."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otrace.cli.group import COMMANDS

TIMEOUT_S = 60
FILES = ("app.py", "apples.otrace")
EXPORTERS = {"chrome", "flamegraph", "folded", "otlp", "perfetto", "pprof", "pstats"}

# Says what bash would offer for the words: the function's answer, or file names by `compopt`.
BASH = """\
eval "$(_OTRACE_COMPLETE=bash_source otrace)"
compopt() {{ COMPREPLY+=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}")); }}
COMP_WORDS=({words}) COMP_CWORD={last} COMPREPLY=()
found=$(complete -p otrace)
[[ $found == *"-F _otrace_completion otrace" ]] || exit 3
_otrace_completion otrace {current} {previous}
(( ${{#COMPREPLY[@]}} )) && printf '%s\\n' "${{COMPREPLY[@]}}"
true
"""

# The start-up file of a zsh at a terminal, where Ctrl-T lists what the line may become.
ZSHRC = """\
autoload -Uz compinit
compinit -u -D
eval "$(_OTRACE_COMPLETE=zsh_source otrace)"
PS1= LISTMAX=10000
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
        local -a found
        builtin compadd -A found "$@"
        print -lr -- $found >> offered
    fi
    builtin compadd "$@"
}
offer() { zle list; print -n FINISHED; }
zle-line-init() { print -n READY; }
zle -C list list-choices _main_complete
zle -N offer
zle -N zle-line-init
bindkey '^T' offer
"""
ZSH = """\
zmodload zsh/zpty
zpty shell zsh -d -i
zpty -r shell output '*READY*' || exit 3
zpty -w -n shell {line}$'\\x14'
zpty -r shell output '*FINISHED*' || exit 4
zpty -d shell
touch offered
while read -r name; do print -r -- $name; done < offered
rm offered
"""


class Shell:
    """Types words to a shell in a folder, and asks what it offers for the last one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FILES:
            (folder / name).touch()

    def run(self, *command: str) -> list[str]:
        # Without "..": zsh does not look for commands in such a folder.
        scripts = os.path.dirname(os.path.abspath(sys.executable))
        assert shutil.which("otrace", path=scripts), f"no command otrace beside {sys.executable}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTRACE_", "_OTRACE_"))}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={
                **clean,
                "PATH": os.pathsep.join([scripts, clean["PATH"]]),
                "HOME": str(self.folder),
                "TERM": "dumb",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def bash(self, *words: str) -> list[str]:
        quoted = [shlex.quote(word) for word in words]
        script = BASH.format(
            words=" ".join(quoted),
            last=len(words) - 1,
            current=quoted[-1],
            previous=quoted[-2],
        )
        return self.run("bash", "--norc", "--noprofile", "-c", script)

    def fish(self, *words: str) -> list[str]:
        line = shlex.quote(shlex.join(words[:-1]) + " " + words[-1])
        script = f"_OTRACE_COMPLETE=fish_source otrace | source; complete -C {line}"
        return [line.partition("\t")[0] for line in self.run("fish", "--no-config", "-c", script)]

    def zsh(self, *words: str) -> list[str]:
        (self.folder / ".zshrc").write_text(ZSHRC)
        line = shlex.quote(shlex.join(words[:-1]) + " " + words[-1])
        return list(dict.fromkeys(self.run("zsh", "-f", "-c", ZSH.format(line=line))))


Complete = Callable[..., list[str]]


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(request: pytest.FixtureRequest, tmp_path: Path) -> Complete:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} on PATH: apt-get install {request.param}")
    folder = tmp_path / "folder"
    folder.mkdir()
    offered: Complete = getattr(Shell(folder), request.param)
    return offered


def test_commands(complete: Complete) -> None:
    assert sorted(complete("otrace", "")) == sorted(COMMANDS)
    assert complete("otrace", "st") == ["stats"]
    assert complete("otrace", "nothing") == []


def test_options(complete: Complete) -> None:
    offered = complete("otrace", "run", "--ex")
    assert {"--export", "--exporter-option", "--exclude"} <= set(offered)
    assert all(option.startswith("--ex") for option in offered)
    assert complete("otrace", "diff", "--js") == ["--json"]


def test_choices(complete: Complete) -> None:
    groups = ["file", "function", "module", "process", "thread"]
    assert sorted(complete("otrace", "stats", "--by", "")) == groups


@pytest.mark.parametrize("words", [("run", "--export"), ("export", "a.otrace", "--to")])
def test_names_of_exporters(complete: Complete, words: tuple[str, ...]) -> None:
    assert set(complete("otrace", *words, "")) >= EXPORTERS
    assert complete("otrace", *words, "per") == ["perfetto"]


@pytest.mark.parametrize(
    "words", [("run",), ("run", "-o"), ("run", "--quiet"), ("run", "app.py"), ("export",)]
)
def test_files(complete: Complete, words: tuple[str, ...]) -> None:
    """Also the program of `run`, and what the program itself takes."""
    assert sorted(complete("otrace", *words, "app")) == list(FILES)
    assert complete("otrace", *words, "apples") == ["apples.otrace"]
