# What `script/bench validate` is compared with. Source after common.sh.
# shellcheck shell=bash

# peers_install FOLDER: puts the two services and the packages that they are pinned to there.
peers_install() {
    local folder=$1 log="$1/install.log" program
    for program in node npm python3 make g++; do
        have "$program" || die "$program is missing: install it with  apt-get install nodejs npm g++ make libnode-dev python3-venv"
    done
    [ -e /usr/include/node/node.h ] || die "node's headers are missing: install them with  apt-get install libnode-dev"
    rm -rf "$folder"
    mkdir -p "$folder"
    cp -r "$FREEHOLD_TOP/tests/bench/peers/." "$folder"
    say "installing Express and better-sqlite3 (compiled here, two minutes)"
    # Its own way is a binary from a web site; nothing but the registry is trusted here.
    (cd "$folder/express" && npm ci --no-audit --no-fund --build-from-source --nodedir=/usr) >"$log" 2>&1 ||
        die "npm did not install them: see $log"
    say "installing FastAPI"
    /usr/bin/python3 -m venv "$folder/fastapi/python" >>"$log" 2>&1 &&
        "$folder/fastapi/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            --requirement "$folder/fastapi/requirements.txt" >>"$log" 2>&1 ||
        die "pip did not install it: see $log"
    touch "$folder/ready"
    say "ready: script/bench validate"
}
