#!/usr/bin/env bash
# Installs the Debian packages that the build needs and that are not there yet. Says which; asks for
# nothing. Needs root or sudo only when something is missing.
set -euo pipefail
[[ ${1:-} != @(-h|--help) ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit; }
command -v apt-get >/dev/null || {
  echo "ci/install.sh: knows Debian and Ubuntu only; docs/dependencies.md lists what to install" >&2
  exit 1
}
packages=(
  build-essential cmake ninja-build pkg-config git
  libopenblas-dev libcjson-dev libpng-dev libjpeg-dev libwebp-dev zlib1g-dev
  libcurl4-openssl-dev libutf8proc-dev libxxhash-dev libedit-dev libgmp-dev libflint-dev
  libcmocka-dev libmicrohttpd-dev libboost-context-dev
)
packages+=("$@")
# FLINT 2, which Debian 12 has, leaves Arb, Calcium and Antic to packages of their own.
flint2_packages=(libflint-arb-dev libcalcium-dev libantic-dev)

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}
install_missing() {
  local package missing=()
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "ci/install.sh: there is no sudo; run this as root, then go on:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  echo "installing: ${missing[*]}" >&2
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

install_missing "${packages[@]}"
flint=$(dpkg-query -W -f='${Version}' libflint-dev)
if dpkg --compare-versions "$flint" lt 3; then install_missing "${flint2_packages[@]}"; fi
