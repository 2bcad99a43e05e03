#!/bin/sh
# Builds the native addon and the helper binaries for this machine's architecture into native/build.
set -eu
cd "$(dirname "$0")/.."
case "$(uname -m)" in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) echo "wherry: unsupported machine $(uname -m)" >&2; exit 1 ;; esac
headers=node_modules/node-linux-$arch/include/node
out=native/build
mkdir -p $out
newer() { [ ! -e "$2" ] || [ "$1" -nt "$2" ]; }
if newer native/sys.c $out/sys-$arch.node; then
  cc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -I$headers -o $out/sys-$arch.node.tmp native/sys.c
  mv $out/sys-$arch.node.tmp $out/sys-$arch.node
fi
# Where ISA-L is not, layers are compressed by Node's zlib.
if [ -e /usr/include/isa-l/igzip_lib.h ] && newer native/deflate.c $out/deflate-$arch.node; then
  cc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -I$headers -o $out/deflate-$arch.node.tmp native/deflate.c -lisal
  mv $out/deflate-$arch.node.tmp $out/deflate-$arch.node
fi
# Elsewhere, and where the processor has instructions for it, SHA-256 is OpenSSL's.
if [ $arch = x64 ] && newer native/sha256.c $out/sha256-$arch.node; then
  cc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -I$headers -o $out/sha256-$arch.node.tmp native/sha256.c
  mv $out/sha256-$arch.node.tmp $out/sha256-$arch.node
fi
for helper in native/helpers/*.c; do
  [ -e "$helper" ] || continue
  name=$(basename "$helper" .c)
  if newer "$helper" $out/$name-$arch; then
    cc -std=gnu11 -O2 -Wall -Wextra -Werror -static -o $out/$name-$arch.tmp "$helper"
    mv $out/$name-$arch.tmp $out/$name-$arch
  fi
done
