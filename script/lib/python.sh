# Python packages that only tests need, in a folder of their own under .cache. Source after
# common.sh and apt.sh.
# shellcheck shell=bash

# Pinned: a test must not change by itself. PyJWT verifies leases as a tenant's app would.
PYTHON_PACKAGES=(PyJWT==2.15.1 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12)
PYTHON_FOLDER="$FREEHOLD_STATE/python"

# python_is_ready: true when the folder holds exactly these packages.
python_is_ready() {
    [ -x "$PYTHON_FOLDER/bin/python" ] &&
        [ "$(cat "$PYTHON_FOLDER/freehold-packages" 2>/dev/null)" = "${PYTHON_PACKAGES[*]}" ]
}

# python_install: makes the folder anew.
python_install() {
    say "installing Python packages for the tests: ${PYTHON_PACKAGES[*]}"
    rm -rf "$PYTHON_FOLDER"
    /usr/bin/python3 -m venv "$PYTHON_FOLDER" >"$FREEHOLD_STATE/python.log" 2>&1 &&
        "$PYTHON_FOLDER/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            "${PYTHON_PACKAGES[@]}" >>"$FREEHOLD_STATE/python.log" 2>&1 ||
        die "the Python packages ${PYTHON_PACKAGES[*]} were not installed: see $FREEHOLD_STATE/python.log"
    printf '%s' "${PYTHON_PACKAGES[*]}" >"$PYTHON_FOLDER/freehold-packages"
}
