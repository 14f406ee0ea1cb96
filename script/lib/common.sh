# Shared by the scripts in this folder. Source it; it sets -euo pipefail and moves to the
# top of the tree.
# shellcheck shell=bash

set -euo pipefail

FREEHOLD_TOP="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export FREEHOLD_TOP
cd "$FREEHOLD_TOP"

# What a script exits with when it must have root and has not. Never 0: a step that could
# not run is not a step that passed.
EXIT_NEEDS_ROOT=77

# Logs and stamps of the scripts; git ignores it.
FREEHOLD_STATE="$FREEHOLD_TOP/.cache"

# compiled: the folder of cargo's builds, wherever the user's settings have it.
compiled() {
    cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    _bold=$'\e[1m' _red=$'\e[31m' _yellow=$'\e[33m' _off=$'\e[0m'
else
    _bold='' _red='' _yellow='' _off=''
fi

# say TEXT...: one line of progress.
say() { printf '%s==>%s %s\n' "$_bold" "$_off" "$*"; }

# note TEXT...: detail under the last line of progress.
note() { printf '    %s\n' "$*"; }

# warn TEXT...: something that does not stop the script.
warn() { printf '%swarning:%s %s\n' "$_yellow" "$_off" "$*" >&2; }

# die TEXT...: the reason and the remedy, then exit 1.
die() {
    printf '%serror:%s %s\n' "$_red" "$_off" "$*" >&2
    exit 1
}

# have COMMAND: true when it is on the path, or in an sbin folder that a plain user's path
# leaves out.
have() {
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]
}

# need_root WHAT...: continue only as root.
need_root() {
    [ "$(id -u)" -eq 0 ] && return 0
    printf '%serror:%s %s\n' "$_red" "$_off" "$*" >&2
    printf '       Run it again as root:  sudo %s\n' "${FREEHOLD_COMMAND:-$0}" >&2
    exit "$EXIT_NEEDS_ROOT"
}

# stays WHAT COMMAND: keeps in mind what a script changed on this machine outside of the tree, and
# what takes that back; script/demo --down shows it.
stays() {
    grep -qxF "$1: $2" "$FREEHOLD_STATE/stays" 2>/dev/null || printf '%s: %s\n' "$1" "$2" >>"$FREEHOLD_STATE/stays"
}
