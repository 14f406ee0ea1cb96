# A clean Debian that is booted for a test, with systemd as PID 1, and what is asked of it. Source
# after common.sh and background.sh; set work, run ($work/run) and guest ($work/root) first.
# shellcheck shell=bash

. "$FREEHOLD_TOP/tests/packages/documented.sh"

# The guest's init, seen from here.
leader=''

# boot OPTION...: boots it, with these options of systemd-nspawn; after power_off with the same disk.
boot() {
    local base nspawn tries
    if ! mountpoint -q "$guest"; then
        base="$(tests/packages/root | tail -n 1)"
        mkdir -p "$run" "$work/upper" "$work/scratch" "$guest"
        mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/scratch" "$guest"
    fi
    # A machine without systemd has no machine manager to register with, nor a unit to make for it.
    background_start "$run" guest systemd-nspawn --quiet --boot --directory="$guest" --machine="freehold-$$" \
        --register=no --keep-unit --link-journal=no --resolv-conf=off --timezone=off --console=pipe "$@"
    read -r nspawn _ <"$run/guest.pid"
    for tries in $(seq 1 200); do
        leader="$(pgrep -P "$nspawn" | head -n 1 || true)"
        if [ -n "$leader" ] && in_guest systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then return 0; fi
        background_runs "$run" guest && [ "$tries" -lt 200 ] || { cat "$run/guest.log" >&2; die "the guest did not boot"; }
        sleep 0.3
    done
}

# power_off: shuts it down in order; after 30 s it is ended.
power_off() {
    local tries
    # What systemd does when it gets SIGRTMIN+4: start poweroff.target.
    [ -z "$leader" ] || kill -s RTMIN+4 "$leader"
    for tries in $(seq 1 150); do
        background_runs "$run" guest || break
        sleep 0.2
    done
    background_stop "$run" guest
    leader=''
}

# halt: ends it for good, and unmounts its disk.
halt() {
    power_off
    umount -l "$guest"
}

# guest_log: what its services said last.
guest_log() {
    [ -n "$leader" ] || return 0
    warn "the end of the guest's journal:"
    in_guest journalctl --no-pager -n 60 -u freehold -u freehold-agent -u freehold-executor -u nginx >&2
}

# in_guest COMMAND...: runs it in the booted system, as root, with a clean environment.
in_guest() {
    nsenter --target "$leader" --all -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive ${url:+FREEHOLD_URL="$url"} ${token:+FREEHOLD_TOKEN="$token"} "$@"
}

# ok WHAT COMMAND...: must succeed in the guest.
ok() {
    local what=$1 output
    shift
    if output="$(in_guest "$@" 2>&1)"; then note "ok: $what"; else die "$what: $* failed:
$output"; fi
}

# same WHAT WANTED COMMAND...: must print exactly that in the guest.
same() {
    local what=$1 wanted=$2 output
    shift 2
    output="$(in_guest "$@" 2>&1)" || true
    [ "$output" = "$wanted" ] || die "$what: wanted '$wanted', got '$output'"
    note "ok: $what"
}

# has WHAT WANTED COMMAND...: its output must contain that.
has() {
    local what=$1 wanted=$2 output
    shift 2
    output="$(in_guest "$@" 2>&1)" || true
    case "$output" in
        *"$wanted"*) note "ok: $what" ;;
        *) die "$what: wanted '$wanted' in:
$output" ;;
    esac
}

# until_ok SECONDS WHAT COMMAND...: until it succeeds in the guest.
until_ok() {
    local seconds=$1 what=$2 began=$SECONDS
    shift 2
    until in_guest "$@" >/dev/null 2>&1; do
        [ $((SECONDS - began)) -lt "$seconds" ] || die "$what did not happen within $seconds s: $*"
        sleep 0.3
    done
    note "ok: $what"
}

# install PACKAGE...: as an operator does; everything they depend on is there already.
install() {
    local log="$work/apt.log"
    in_guest apt-get install --yes --no-install-recommends --allow-downgrades \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        die "apt-get install $* failed"
    }
    if grep -v 'warning: downgrading' "$log" | grep -iE 'warning|error|failed'; then die "apt-get install $* complained (above)"; fi
}

# free_port: one that nobody listens on.
free_port() {
    local port
    while :; do
        port=$((22000 + RANDOM % 8000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    done
    printf '%s' "$port"
}
