# Programs that a script leaves running, each with a pid file and a log in a folder, so that a
# later call can end exactly those. Source after common.sh.
# shellcheck shell=bash

# background_start FOLDER NAME COMMAND...: starts it unless it runs already.
background_start() {
    local folder=$1 name=$2
    shift 2
    if background_runs "$folder" "$name"; then return 0; fi
    mkdir -p "$folder"
    setsid nohup "$@" >>"$folder/$name.log" 2>&1 </dev/null &
    # With the start time, so that a number the kernel gave to another program is not taken for ours.
    printf '%s %s\n' "$!" "$(_started "$!")" >"$folder/$name.pid"
    note "started $name (pid $!, log $folder/$name.log)"
}

# The start time of a process in clock ticks since boot, or nothing. The name in field 2 may
# hold spaces, so the fields are counted after it.
_started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# background_runs FOLDER NAME
background_runs() {
    local pid='' started=''
    [ -r "$1/$2.pid" ] || return 1
    read -r pid started <"$1/$2.pid" || return 1
    [ -n "$started" ] && [ "$(_started "$pid")" = "$started" ]
}

# port_is_free PORT: true when nobody listens on it here.
port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# background_wait FOLDER NAME WHAT COMMAND...: until the command succeeds, 30 s at most, and the
# program still runs: an answer could be a stranger's.
background_wait() {
    local folder=$1 name=$2 what=$3 tries
    shift 3
    for tries in $(seq 1 150); do
        if "$@" >/dev/null 2>&1 && background_runs "$folder" "$name"; then return 0; fi
        if [ "$tries" -gt 5 ] && ! background_runs "$folder" "$name"; then break; fi
        sleep 0.2
    done
    tail -n 15 "$folder/$name.log" >&2
    die "$name: $what did not happen; the end of its log is above"
}

# background_stop FOLDER NAME: SIGTERM, then SIGKILL after 10 s.
background_stop() {
    local folder=$1 name=$2 pid tries
    if background_runs "$folder" "$name"; then
        read -r pid _ <"$folder/$name.pid"
        kill -TERM "$pid" 2>/dev/null || true
        for tries in $(seq 1 100); do
            background_runs "$folder" "$name" || break
            [ "$tries" -lt 100 ] || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.1
        done
        note "stopped $name"
    fi
    rm -f "$folder/$name.pid"
}
