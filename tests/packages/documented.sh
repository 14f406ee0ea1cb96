# Holds docs/install.md and the tests of the packages together: each command of the document is looked
# up there before it runs, and tests/packages/document asks at the end whether any was left out. Source
# after common.sh; in_guest COMMAND... must run something in the guest.
# shellcheck shell=bash

# stands LINES: each of them stands in docs/install.md; what follows does it in words of its own.
stands() {
    local line
    while IFS= read -r line; do
        grep -qF -- "$line" docs/install.md || die "docs/install.md does not say: $line"
        # The stage that runs all tests names a file for what was looked up.
        printf '%s\n' "$line" >>"${FREEHOLD_DOCUMENTED:-/dev/null}"
    done <<<"$1"
}

# documented COMMANDS [SED]: every line of them stands in docs/install.md; runs them in the guest's
# /root, changed by the sed script where the test is not the reader's machine.
documented() {
    local output
    stands "$1"
    output="$(in_guest bash -c "set -eo pipefail; cd /root; $(sed "${2:-}" <<<"$1")" 2>&1)" || die "docs/install.md says: $1
which failed: $output"
    note "ok: $(head -n 1 <<<"$1")"
}
