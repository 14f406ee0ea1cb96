# Installs Debian packages without asking, without starting what it installs, and without
# touching the machine's own package sources. Source after common.sh.
# shellcheck shell=bash

# os_release: sets OS_ID and OS_VERSION, or refuses a system that these scripts do not know.
os_release() {
    [ -r /etc/os-release ] || die "/etc/os-release is missing: these scripts know Debian 12, Debian 13 and Ubuntu 24.04"
    OS_ID="$(. /etc/os-release && printf '%s' "${ID:-}")"
    OS_VERSION="$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")"
    case "$OS_ID:$OS_VERSION" in
        debian:12 | debian:13 | ubuntu:24.04) ;;
        debian:* | ubuntu:*) warn "$OS_ID $OS_VERSION is not one that is tested (Debian 12, Debian 13, Ubuntu 24.04); trying" ;;
        *) die "$OS_ID $OS_VERSION is not supported: use Debian 12, Debian 13 or Ubuntu 24.04" ;;
    esac
}

_apt_lists_fresh=''

# apt_refresh: the package lists, once per run.
apt_refresh() {
    [ -z "$_apt_lists_fresh" ] || return 0
    # A foreign source that does not answer must not stop us; the install says what is missing.
    apt-get update -qq || warn "apt-get update had errors; going on with the lists that could be read"
    _apt_lists_fresh=1
}

# apt_knows PACKAGE: true when it can be installed from the machine's own sources.
apt_knows() {
    apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

# apt_install PACKAGE...: installs, starting no service that was not already running.
apt_install() {
    need_root "these packages are missing and only root can install them: $*"
    apt_refresh
    say "installing $*"
    local policy=/usr/sbin/policy-rc.d made=''
    # A freshly installed nginx would otherwise serve its default site on port 80 at once.
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\n# Written by freehold script/bootstrap for one installation.\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=1
        # Left behind it would keep every later installation from starting its service.
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    local failed=0
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        "$@" </dev/null >"$FREEHOLD_STATE/apt.log" 2>&1 || failed=1
    if [ -n "$made" ]; then
        rm -f "$policy"
        trap - EXIT
    fi
    if [ "$failed" = 1 ]; then
        tail -n 15 "$FREEHOLD_STATE/apt.log" >&2
        die "apt-get could not install: $* (whole log: $FREEHOLD_STATE/apt.log)"
    fi
    stays "packages that script/bootstrap installed" "apt-get purge --autoremove $*"
}

# apt_download_from SUITE PACKAGE FOLDER: fetches one package of another Debian suite, its
# signature checked against Debian's own keyring. It uses a package source, lists and a cache
# of its own, so that the machine's sources, lists and pins stay as they are.
apt_download_from() {
    local suite=$1 package=$2 folder=$3
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$keyring" ] || apt_install debian-archive-keyring
    mkdir -p "$folder"/{etc,lists/partial,cache/archives/partial}
    cat >"$folder/etc/other.sources" <<SOURCES
Types: deb
URIs: ${FREEHOLD_DEBIAN_MIRROR:-http://deb.debian.org/debian}
Suites: $suite
Components: main
Signed-By: $keyring
SOURCES
    local options=(
        -o Dir::Etc::sourcelist=/dev/null
        -o Dir::Etc::sourceparts="$folder/etc"
        -o Dir::Etc::preferences=/dev/null
        -o Dir::Etc::preferencesparts=/dev/null
        -o Dir::State::lists="$folder/lists"
        -o Dir::Cache="$folder/cache"
        -o APT::Sandbox::User=root
        -o Acquire::Languages=none
    )
    apt-get -qq "${options[@]}" update || return 1
    (cd "$folder" && apt-get -qq "${options[@]}" download "$package") || return 1
}
