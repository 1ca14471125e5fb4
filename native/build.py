"""Builds the compiled module `otrace._native` with cffi in API mode.

One module holds all of `native/`: recorder, hooks, reader, encoders. Python sees what the two
doors (`api_record.h`, `api_read.h`) declare. `pyproject.toml` names `BuildNative` and
`BuildPython` as the classes behind setuptools' build commands.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cffi import FFI
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

NATIVE = Path(__file__).resolve().parent
ROOT = NATIVE.parent
DOORS = ("api_record.h", "api_read.h", "api_otlp.h", "api_capture.h", "api_profile.h")
COMPILE_FLAGS = [
    "-std=c11",
    "-O2",
    "-fvisibility=hidden",
    "-fno-semantic-interposition",
    "-Wall",
    "-Wextra",
    "-Wno-missing-field-initializers",
]
# cffi builds for the limited API unless told not to, and that has no PyEval_SetProfile.
MACROS = [("_GNU_SOURCE", None), ("_CFFI_NO_LIMITED_API", None)]


def sources() -> list[str]:
    """The C files, relative to the project's root, in a stable order."""
    return sorted(
        str(path.relative_to(ROOT))
        for folder in ("record", "python", "read")
        for path in (NATIVE / folder).glob("*.c")
    )


def declarations() -> str:
    """What the doors declare, without the preprocessor lines that cdef does not read."""
    lines: list[str] = []
    for door in DOORS:
        text = (NATIVE / door).read_text(encoding="utf-8")
        lines += [line for line in text.splitlines() if not line.startswith("#")]
    return "\n".join(lines)


def write_module(folder: Path) -> Path:
    """Generates cffi's C file in `folder` and returns its path."""
    ffi = FFI()
    ffi.cdef(declarations())
    includes = "\n".join(f'#include "{door}"' for door in DOORS)
    ffi.set_source("otrace._native", includes, py_limited_api=False)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "_native.c"
    ffi.emit_c_code(str(path))
    return path


class BuildNative(build_ext):
    """Adds cffi's generated file and our own sources to the one extension."""

    def run(self) -> None:
        """Fills in what pyproject.toml cannot say, then builds."""
        generated = write_module(Path(self.build_temp))
        strict = ["-Werror"] if os.environ.get("OTRACE_WERROR") == "1" else []
        for extension in self.extensions:
            if extension.name == "otrace._native":
                extension.sources = [str(generated), *sources()]
                extension.include_dirs = [str(NATIVE)]
                extension.define_macros = MACROS
                extension.extra_compile_args = [*COMPILE_FLAGS, *strict]
                extension.extra_link_args = ["-pthread"]
                extension.depends = [str(path) for path in NATIVE.rglob("*.h")]
                extension.py_limited_api = False
        super().run()


class BuildPython(build_py):
    """Puts the start-up files of `otrace/bootstrap` beside the packages, where site finds them."""

    START_FILES = ("otrace.pth", "otrace.start", "_otrace_start.py")

    def run(self) -> None:
        """Copies the packages, then the start-up files into the root of the wheel."""
        super().run()
        if not self.editable_mode:
            for name in self.START_FILES:
                shutil.copyfile(
                    ROOT / "otrace" / "bootstrap" / name, os.path.join(self.build_lib, name)
                )

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What install records: the start-up files too, so that uninstall removes them."""
        outputs: list[str] = super().get_outputs(include_bytecode)
        if self.editable_mode:
            return outputs
        return outputs + [os.path.join(self.build_lib, name) for name in self.START_FILES]
