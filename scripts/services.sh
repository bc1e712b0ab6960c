#!/bin/sh
# The programs that the tests use. Root on Debian or Ubuntu: installs the missing ones, without starting them.
# Anybody else: says what will not be tested. In CI (CI is set) the tests then fail instead of being skipped.
set -eu

# Each line: what must exist, the package that has it.
needed() {
    cat <<'LIST'
git git
redis-server redis-server
/usr/lib/postgresql/*/bin/initdb postgresql
/usr/sbin/pgbouncer pgbouncer
dockerd docker.io
bwrap bubblewrap
mmdebstrap mmdebstrap
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
ip iproute2
newuidmap uidmap
ps procps
prometheus prometheus
systemd-analyze systemd
LIST
}

exists() {
    case $1 in
    */*) set -- $1 && [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

missing=
while read -r what package; do
    exists "$what" || missing="$missing $package"
done <<LIST
$(needed)
LIST
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed, so not everything can be tested:$missing" >&2
    exit 0
fi

echo "Installing with apt:$missing"
log=$(mktemp)
made=
trap 'rm -f "$log" $made' EXIT
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    # The tests start private servers; those of the distribution shall not run.
    made=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # several words
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    exit 1
fi
