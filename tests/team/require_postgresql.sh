#!/bin/sh
# Installs Debian's PostgreSQL for the tests of a team where that is allowed; elsewhere those tests are skipped.
command -v initdb >/dev/null 2>&1 && exit 0
for program in /usr/lib/postgresql/*/bin/initdb; do
    [ -x "$program" ] && exit 0
done
run_apt() {
    $1 apt-get update -qq && DEBIAN_FRONTEND=noninteractive $1 apt-get install -y -qq postgresql >/dev/null
}
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ]; then
        run_apt "" && exit 0
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        run_apt sudo && exit 0
    fi
fi
echo "PostgreSQL is not installed (on Debian: apt install postgresql): the tests of a team are skipped." >&2
exit 0
