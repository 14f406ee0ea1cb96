# The Docker engine and Compose v2: finding, installing, starting. Source after apt.sh.
# shellcheck shell=bash

# The oldest Compose that does what the agent asks of it.
COMPOSE_MINIMUM=2.20

# The engine's own client is preferred to another one that comes first on the path.
docker_path() {
    if [ -n "${FREEHOLD_DOCKER:-}" ]; then
        printf '%s' "$FREEHOLD_DOCKER"
    elif [ -x /usr/bin/docker ]; then
        printf '/usr/bin/docker'
    else
        command -v docker || printf '/usr/bin/docker'
    fi
}

# compose_version: "2.26.1", or nothing when there is no Compose v2.
compose_version() {
    "$(docker_path)" compose version --short 2>/dev/null | sed -n 's/^v\{0,1\}\([0-9][0-9.]*\).*/\1/p'
}

# compose_is_new_enough: true for Compose at or above COMPOSE_MINIMUM.
compose_is_new_enough() {
    local version
    version="$(compose_version)"
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$COMPOSE_MINIMUM" "$version" | sort -V | head -n 1)" = "$COMPOSE_MINIMUM" ]
}

# docker_packages: the packages that bring the engine and its client on this system.
docker_packages() {
    printf 'docker.io iptables'
    # Debian 13 has the client in a package of its own, which the engine only recommends.
    case "$OS_ID:$OS_VERSION" in
        debian:12 | ubuntu:*) ;;
        debian:*) printf ' docker-cli' ;;
    esac
}

# install_compose: Compose v2 from where this system has it.
install_compose() {
    need_root "Compose v2 ($COMPOSE_MINIMUM or newer) is missing and only root can install it"
    case "$OS_ID:$OS_VERSION" in
        ubuntu:*) apt_install docker-compose-v2 ;;
        debian:12) install_compose_from_trixie ;;
        *) apt_install docker-compose ;;
    esac
    compose_is_new_enough || die "docker compose is still missing or older than $COMPOSE_MINIMUM (found: '$(compose_version)'): install docker-compose-plugin from Docker's own repository, or remove an older plugin from ~/.docker/cli-plugins"
}

# Debian 12 packages only Compose v1. The package of Debian 13 needs nothing but a libc that
# Debian 12 already has.
install_compose_from_trixie() {
    say "installing Compose v2 (Debian 13's docker-compose package; Debian 12 has only v1)"
    local folder package
    folder="$(mktemp -d)"
    apt_download_from trixie docker-compose "$folder" || die "could not fetch docker-compose from Debian trixie: is the Debian mirror reachable? (FREEHOLD_DEBIAN_MIRROR changes it)"
    package="$(find "$folder" -maxdepth 1 -name 'docker-compose_*.deb' -print -quit)"
    [ -n "$package" ] || die "apt-get download left no docker-compose package in $folder"
    if ! DEBIAN_FRONTEND=noninteractive dpkg -i "$package" >"$FREEHOLD_STATE/compose.log" 2>&1; then
        # Something else holds its files, most likely Compose v1. Take the plugin alone, to the
        # folder that is meant for locally installed ones.
        dpkg --purge --force-depends docker-compose >>"$FREEHOLD_STATE/compose.log" 2>&1 || true
        dpkg-deb -x "$package" "$folder/root"
        install -D -m 755 "$folder/root/usr/libexec/docker/cli-plugins/docker-compose" \
            /usr/local/lib/docker/cli-plugins/docker-compose
        stays "Compose v2 that script/bootstrap installed" "rm /usr/local/lib/docker/cli-plugins/docker-compose"
    else
        stays "Compose v2 that script/bootstrap installed" "apt-get purge docker-compose"
    fi
    rm -rf "$folder"
}

# engine_answers: true when the engine does.
engine_answers() {
    timeout 10 "$(docker_path)" version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# engine_start: makes the engine answer, or says why it does not.
engine_start() {
    engine_answers && return 0
    if [ "$(id -u)" -ne 0 ]; then
        if [ -S /var/run/docker.sock ]; then
            need_root "the Docker engine does not answer user $(id -un): add the user to group docker (that is as good as root) and log in again, or use root"
        fi
        need_root "the Docker engine is not running and only root can start it"
    fi
    if [ -d /run/systemd/system ]; then
        say "starting the Docker engine (systemctl start docker)"
        systemctl start docker || die "systemctl could not start docker: see  journalctl -u docker"
        stays "the Docker engine that script/bootstrap started" "systemctl stop docker.socket docker"
    else
        local log=/var/log/freehold-dockerd.log
        say "starting the Docker engine (no systemd here; log: $log)"
        setsid nohup dockerd >"$log" 2>&1 </dev/null &
        stays "the Docker engine that script/bootstrap started" 'kill $(cat /var/run/docker.pid)'
    fi
    local tries
    for tries in $(seq 1 120); do
        engine_answers && return 0
        # Not worth waiting for an engine that has already given up.
        if [ ! -d /run/systemd/system ] && [ "$tries" -gt 10 ] && ! pidof dockerd >/dev/null; then
            break
        fi
        sleep 0.5
    done
    if [ -f "${log:-}" ]; then
        tail -n 12 "$log" >&2
        die "the Docker engine does not answer; its last lines are above. In a container it needs --privileged, and /sys/fs/cgroup mounted"
    fi
    die "the Docker engine does not answer: see  journalctl -u docker"
}
