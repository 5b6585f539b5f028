#!/bin/sh
# Makes sure there is a browser for the tests; installs Debian's where that is allowed.
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
run_apt() {
    $1 apt-get update -qq && DEBIAN_FRONTEND=noninteractive $1 apt-get install -y -qq chromium >/dev/null
}
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ]; then
        run_apt "" && exit 0
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        run_apt sudo && exit 0
    fi
fi
echo "The browser tests need Chromium or Chrome: install it (on Debian: apt install chromium) and run again." >&2
exit 2
