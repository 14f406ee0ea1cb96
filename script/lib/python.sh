# Python packages that only tests need, in a folder of their own under .cache. Source after
# common.sh and apt.sh.
# shellcheck shell=bash

# Pinned: a test must not change by itself. PyJWT verifies leases as a tenant's app would; openapi-spec-validator
# and schemathesis judge the API by its own description. All others are what these need.
PYTHON_PACKAGES=(
    PyJWT==2.15.1 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12
    annotated-types==0.8.0 anyio==4.16.0 attrs==26.1.0 certifi==2026.10.19.post1 charset-normalizer==3.5.3
    click==8.5.1 graphql-core==3.3.2 harfile==0.6.0 hypothesis==6.170.17 hypothesis-graphql==0.13.5 idna==3.20
    iniconfig==2.3.1 jsonschema==4.26.0 jsonschema-path==0.5.0 jsonschema-specifications==2025.9.1
    jsonschema_rs==0.60.3 lazy-object-proxy==1.13.0 markdown-it-py==4.3.0 MarkupSafe==3.0.4 mdurl==0.1.2
    openapi-schema-validator==0.9.0 openapi-spec-validator==0.9.0 packaging==26.4 pathable==0.6.0
    pluggy==1.7.0 pydantic==2.14.4 pydantic-settings==2.16.3 pydantic_core==2.50.5 Pygments==2.21.0
    pyrate-limiter==4.5.1 pytest==9.2.0 python-dotenv==1.2.4 PyYAML==6.0.4 referencing==0.37.0
    requests==2.34.2 rfc3339-validator==0.1.4 rich==15.0.0 rpds-py==2026.9.1 schemathesis==4.32.5 six==1.17.0
    sortedcontainers==2.4.0 typing-inspection==0.4.5 typing_extensions==4.16.0 urllib3==2.8.0 Werkzeug==3.1.9
)
PYTHON_FOLDER="$FREEHOLD_STATE/python"

# python_is_ready: true when the folder holds exactly these packages, and was made where it stands: its
# programs name their interpreter by its whole path.
python_is_ready() {
    [ -x "$PYTHON_FOLDER/bin/python" ] &&
        [ "$(head -n 1 "$PYTHON_FOLDER/bin/schemathesis" 2>/dev/null)" = "#!$PYTHON_FOLDER/bin/python" ] &&
        [ "$(cat "$PYTHON_FOLDER/freehold-packages" 2>/dev/null)" = "${PYTHON_PACKAGES[*]}" ]
}

# python_install: makes the folder anew.
python_install() {
    say "installing ${#PYTHON_PACKAGES[@]} Python packages for the tests"
    rm -rf "$PYTHON_FOLDER"
    mkdir -p "$FREEHOLD_STATE"
    /usr/bin/python3 -m venv "$PYTHON_FOLDER" >"$FREEHOLD_STATE/python.log" 2>&1 &&
        "$PYTHON_FOLDER/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            "${PYTHON_PACKAGES[@]}" >>"$FREEHOLD_STATE/python.log" 2>&1 ||
        die "the Python packages for the tests were not installed: see $FREEHOLD_STATE/python.log"
    printf '%s' "${PYTHON_PACKAGES[*]}" >"$PYTHON_FOLDER/freehold-packages"
}
