#!/usr/bin/env bash
# The one list of Debian 12 packages that Marmot needs, and the way to install those that are missing.
#
#   tests/packages.sh build runtime test     install what is missing of these groups
#   tests/packages.sh --list build           print a group, one package a line
#   tests/packages.sh --missing build test   print what is missing, one package a line
#
# It says first what it installs and how long that takes. On a terminal it asks before it installs, unless CI is set.
# Where there is no dpkg it names the packages and leaves the rest to Meson's own messages.
set -euo pipefail

packages_build=(
  g++ meson ninja-build pkg-config
  libsqlite3-dev libuv1-dev libnats-dev libssl-dev libzstd-dev libxxhash-dev
  libmsgpack-cxx-dev libtoml11-dev libcli11-dev libspdlog-dev nlohmann-json3-dev
  libicu-dev zlib1g-dev libcctz-dev
)
packages_runtime=(
  nats-server sqlite3 python3
)
packages_test=(
  ccache doctest-dev clang-14 libclang-rt-14-dev llvm-14
  zsh python3-django python3-pip python3-alembic python3-sqlalchemy ruby-activerecord ruby-sqlite3 iproute2
  mariadb-test-data php-cli php-sqlite3 php-intl php-mbstring php-xml ruby-rails puma
  python3-apsw libdbd-sqlite3-perl tcl libsqlite3-tcl lua5.4 lua-sql-sqlite3
)

group() {
  case "$1" in
    build) printf '%s\n' "${packages_build[@]}" ;;
    runtime) printf '%s\n' "${packages_runtime[@]}" ;;
    test) printf '%s\n' "${packages_test[@]}" ;;
    *) echo "packages.sh: no group '$1' (build, runtime, test)" >&2; return 2 ;;
  esac
}

missing() {
  local name wanted
  wanted=$(for name in "$@"; do group "$name" || exit 2; done)
  for name in $wanted; do
    grep -qx installed < <(dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null) || printf '%s\n' "$name"
  done
}

main() {
  local mode=install
  case "${1:-}" in
    --list) mode=list; shift ;;
    --missing) mode=missing; shift ;;
    --help|-h|'') sed -n '2,9s/^# \{0,1\}//p' "$0"; return 0 ;;
  esac
  local name
  if [ "$mode" = list ]; then
    for name in "$@"; do group "$name"; done
    return
  fi
  if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian. Please see to it that these are there (named as Debian names them):"
    for name in "$@"; do group "$name"; done | sed 's/^/  /'
    return
  fi
  local lacking
  lacking=$(missing "$@")
  if [ "$mode" = missing ]; then
    [ -z "$lacking" ] || echo "$lacking"
    return
  fi
  [ -n "$lacking" ] || return 0

  local count sudo=()
  count=$(wc -l <<<"$lacking")
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  echo "Installing $count Debian packages with apt-get (one to three minutes, mostly download):"
  tr '\n' ' ' <<<"$lacking" | fold -s -w 110 | sed 's/^/  /'; echo
  if grep -qx nats-server <<<"$lacking"; then
    echo "  Debian's nats-server package also starts a service of its own on port 4222. Marmot does not use it;"
    echo "  'systemctl disable --now nats-server' stops it for good."
  fi
  if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
    read -r -p "Enter goes on, Ctrl-C stops here: " _
  fi
  local started=$SECONDS log
  log=$(mktemp)
  # shellcheck disable=SC2086  # one word a package
  if ! { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
         "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $lacking
       } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "packages.sh: apt-get failed; what it said last is above" >&2
    return 1
  fi
  rm -f "$log"
  echo "Installed in $((SECONDS - started)) s."
}

main "$@"
