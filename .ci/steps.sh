# The steps of .ci/run, and how their logs are summed up. Sourced, never run.
# shellcheck shell=bash

# step_make COPY ARGUMENT...: make, in a copy of the checkout that leaves the checkout as it is.
step_make() {
    local copy=$WORK/$1
    shift
    if [ ! -d "$copy" ]; then
        copy_checkout "$copy"
        git -C "$copy" init --quiet # linters and test-dist ask git what belongs to the project
    fi
    make -C "$copy" --no-print-directory BUILD="$WORK/build" \
        PYTHON="$(python_of 3.13 || "$CI_DIR/pick-python")" "$@"
}

# Both hooks: the one for Python 3.11, and the one for later versions.
step_arm64() {
    step_make native -j2 check-arm64
    step_make native check-arm64-python PYTHON="$(python_of 3.11)"
}

# Waits for what .ci/run began to make after `install`; alone, makes it.
step_parts() {
    while [ -n "${PARTS_PID:-}" ] && kill -0 "$PARTS_PID" 2>/dev/null; do sleep 1; done
    [ ! -f "$WORK/parts.out" ] || cat "$WORK/parts.out"
    "$CI_DIR/parts"
}

step_python() {
    local version=$1 target=test-python services=0 arguments="-ra --ignore=services"
    case " $SERVICE_PYTHONS " in *" $version "*) services=1 arguments=-ra ;; esac
    # One of them runs the very command that README.md names.
    [ "$version" != "$README_PYTHON" ] || target=test
    case " $FORKY_PYTHONS " in
        *" $version "*)
            "$CI_DIR/in-forky" make "$target" VENV=/tmp/venv PYTHON="python$version" \
                PYTEST_ARGS="$arguments"
            return
            ;;
    esac
    local python copy=$WORK/python-$version
    python=$(python_of "$version") || die "there is no Python $version here (pyenv, PATH)"
    copy_checkout "$copy"
    make -C "$copy" --no-print-directory "$target" PYTHON="$python" PYTEST_ARGS="$arguments" \
        BUILD="$WORK/build" OTRACE_REQUIRE_SERVICES="$services" OTRACE_JAEGER="$JAEGER_BINARY"
}

# python_of VERSION: a working interpreter of it, from pyenv or PATH.
python_of() {
    local version=$1 candidate
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python "python$version"; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" \
            2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# closing_line LOG: the last line in which a test runner counted.
closing_line() {
    grep -aoE '(=+ .*(passed|failed|error|no tests ran).* =+|^[a-z0-9]+: [0-9]+ passed.*)$' "$1" |
        tail -n 1 | tr -d =
}

# sum_of_tests LOG...: one line with the counts of all runners together.
sum_of_tests() {
    local log
    for log in "$@"; do closing_line "$log"; done | awk '
        {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) passed += $(i - 1)
                if ($i ~ /^(failed|errors?)/) failed += $(i - 1)
                if ($i ~ /^skipped/) skipped += $(i - 1)
            }
        }
        END { printf "total: %d passed, %d failed, %d skipped\n", passed, failed, skipped }'
}
