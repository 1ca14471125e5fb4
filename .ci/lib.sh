# Shared by the scripts of this folder: where things are cached, how they speak. Sourced, never run.
# shellcheck shell=bash

CI_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO_DIR=$(dirname "$CI_DIR")
export HOME=${HOME:-/root}
CACHE_DIR=${OTRACE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otrace-ci}
mkdir -p "$CACHE_DIR"

JAEGER_VERSION=1.76.0
JAEGER_BINARY=$CACHE_DIR/jaeger-$JAEGER_VERSION

# Debian's testing suite, the one that has CPython 3.14 and 3.15.
FORKY_ROOT=$CACHE_DIR/forky
FORKY_PYTHONS="3.14 3.15"

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# retry COUNT COMMAND...: network steps fail for a moment now and then.
retry() {
    local left=$1 attempt=1
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        say "retrying (attempt $attempt failed): $*"
        sleep $((attempt * 5))
        attempt=$((attempt + 1))
    done
}

# locked NAME COMMAND...: two runs on one machine never build the same cached thing at once.
locked() {
    local name=$1
    shift
    (
        flock 9
        "$@"
    ) 9>"$CACHE_DIR/$name.lock"
}

# copy_checkout FOLDER: the files git knows or would take up, as they are now, without history.
copy_checkout() {
    mkdir -p "$1"
    (
        cd "$REPO_DIR"
        git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
            if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\0' "$file"; fi
        done | tar --create --null --files-from=- --file=-
    ) | tar --extract --directory="$1" --file=-
}
