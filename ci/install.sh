#!/usr/bin/env bash
# Installs the Debian packages that the build needs and that are not there yet. Says which; asks for
# nothing. Needs root or sudo only when something is missing.
set -euo pipefail
packages=(
  build-essential cmake ninja-build pkg-config git
  libopenblas-dev libcjson-dev libpng-dev libjpeg-dev libwebp-dev zlib1g-dev
  libutf8proc-dev libxxhash-dev libedit-dev libgmp-dev libflint-dev
  libcmocka-dev libboost-context-dev
)
# Debian 12 packages Arb and Calcium apart from FLINT; newer releases have them inside.
for extra in libflint-arb-dev libcalcium-dev libantic-dev; do
  if apt-cache show "$extra" >/dev/null 2>&1; then packages+=("$extra"); fi
done
packages+=("$@")

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}" >&2
run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "run as root: apt-get install ${missing[*]}" >&2; exit 1; }
  run=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq
"${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
