#!/bin/sh
# usage: tests/install.sh BUILD_FOLDER SOURCE_FOLDER
# Installs into a folder of its own, then builds a program as somebody else would, with nothing but
# pkg-config, and runs it.
set -eu
build=$1 source=$2
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" >"$prefix/log" || { cat "$prefix/log"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name xreasoner.pc)")
export PKG_CONFIG_PATH
cat >"$prefix/user.c" <<'C'
#include <stdio.h>
#include <xreasoner.h>

int main(int argc, char **argv) {
    char error[1024];
    xreasoner *x = xreasoner_open(argv[argc - 1], NULL, error, sizeof error);
    if (!x) return fprintf(stderr, "%s\n", error), 1;
    xreasoner_message message = {"user", "Is this right?", NULL, 0};
    xreasoner_sampling sampling = xreasoner_default_sampling(x);
    xreasoner_answer answer;
    sampling.max_new_tokens = 4;
    if (!xreasoner_chat(x, &message, 1, &sampling, NULL, NULL, &answer, error, sizeof error))
        return fprintf(stderr, "%s\n", error), 1;
    printf("%s: %d tokens\n", xreasoner_version(), (int)answer.count);
    xreasoner_answer_free(&answer);
    xreasoner_close(x);
    return 0;
}
C
# The prefix's libraries first; -rpath for shared builds.
# shellcheck disable=SC2046
cc -std=c99 -Wall -Wextra -Werror "$prefix/user.c" -o "$prefix/user" \
  $(pkg-config --cflags --libs xreasoner) -Wl,-rpath,"$(pkg-config --variable=libdir xreasoner)"
"$prefix/user" "$source/golden/models/text_only"
"$prefix/bin/xreasoner" --version | head -n 1
