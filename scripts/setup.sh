#!/bin/sh
# Everything a checkout needs: Debian packages, npm packages (Node 26 among them), the native addon, the bundle.
# Idempotent, and quick when nothing is missing. `--test` adds what only the tests need.
set -eu
cd "$(dirname "$0")/.."
say() { printf '%s\n' "wherry setup: $*" >&2; }
fail() { printf '%s\n' "wherry setup: $*" >&2; exit 1; }

# --- Debian packages: named by the file that shows they are there ---
missing=""
need() { # need FILE... PACKAGE: the package is wanted unless one of the files exists
  for last in "$@"; do :; done
  package=$last
  for file in "$@"; do [ "$file" != "$package" ] && [ -e "$file" ] && return 0; done
  missing="$missing $package"
}
multiarch=$(uname -m)-linux-gnu
need /usr/bin/gcc gcc
need /usr/include/stdlib.h libc6-dev
need /usr/lib/$multiarch/libatomic.so.1 /lib/$multiarch/libatomic.so.1 libatomic1
need /usr/bin/conmon conmon
need /usr/bin/crun /usr/sbin/crun crun
need /usr/sbin/runc /usr/bin/runc runc
need /usr/sbin/ip /sbin/ip iproute2
need /usr/sbin/nft nftables
need /bin/ps /usr/bin/ps procps
need /usr/bin/xz xz-utils
need /bin/bzip2 /usr/bin/bzip2 bzip2
# Only makes pushes faster: where it cannot be had, zlib compresses.
if command -v apt-get >/dev/null; then need /usr/include/isa-l/igzip_lib.h libisal-dev; fi
need /bin/busybox /usr/bin/busybox busybox-static
if [ "${1:-}" = --test ]; then
  need /usr/bin/docker-registry docker-registry
  need /usr/bin/openssl openssl
  need /usr/sbin/mkfs.btrfs /sbin/mkfs.btrfs /usr/bin/mkfs.btrfs btrfs-progs
  need /usr/bin/fuse-overlayfs fuse-overlayfs
  need /usr/bin/curl curl
  need /usr/bin/nsenter util-linux
  need /usr/bin/script bsdutils
fi
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || fail "as root, run: apt-get install -y --no-install-recommends$missing"
  command -v apt-get >/dev/null || fail "no apt-get here; install these packages yourself:$missing"
  say "installing$missing"
  install_packages() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >.setup.log 2>&1; }
  install_packages || { apt-get update >>.setup.log 2>&1; install_packages; } || { tail -5 .setup.log >&2; fail "apt-get could not install:$missing"; }
  rm -f .setup.log
fi

# --- npm packages: again only when the lock file changed ---
stamp=node_modules/.wherry-lock
if ! cmp -s package-lock.json $stamp; then
  say "installing npm packages"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json $stamp
fi

sh scripts/native.sh

# --- the bundle: again only when a source is newer ---
if [ ! -e dist/wherryd.js ] || [ -n "$(find src scripts/bundle.ts package.json -newer dist/wherryd.js -print -quit)" ]; then
  say "bundling"
  node_modules/.bin/node scripts/bundle.ts
fi
