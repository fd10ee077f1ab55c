#!/bin/sh
# Takes names of Debian packages; installs those that are missing, as root or with a sudo that asks nothing.
set -eu

command -v dpkg-query >/dev/null || {
  echo "note: this is no Debian, so it can't be told whether these are installed: $*" >&2
  exit 0
}
missing=""
for package in "$@"; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
  as_root="sudo -n"
  $as_root true 2>/dev/null || {
    echo "error: Debian packages are missing, and this is not root. Install them: apt-get install$missing" >&2
    exit 2
  }
fi
# Names of packages are a word each.
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $missing >/dev/null
