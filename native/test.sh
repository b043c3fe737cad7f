#!/bin/bash
# Runs the native tests (test/native/*.ts) in the host itself: under the sanitizers, and in the static build. Called by
# `make -C native test`, which builds both hosts first. `native/test.sh NAME...` runs only these. Comments at a
# test's head may ask for a certain end: expect-exit, expect-stderr (a part of it), only (asan or musl), and for seconds.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build}
out=$build/native-test
cd "$root"

names=("$@")
if [ $# -eq 0 ]; then
    for file in test/native/*.ts; do
        name=$(basename "$file" .ts)
        case $name in checks | lazy-*) ;; *) names+=("$name") ;; esac
    done
fi
scripts/build-shim.mjs --compiler "$build/native/moor-compile" --out "$out" \
    $(for name in "${names[@]}"; do echo "$name=test/native/$name.ts"; done)

wanted() { sed -n "s|^// $2: ||p" "test/native/$1.ts" | head -n 1; }

export MOOR_TEST_MODULES=$out/bytecode MOOR_TEST_VALUE='a=b ü'
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
failed=0
for kind in asan musl; do
    host=$build/moor-host
    [ $kind = asan ] && host=$build/moor-host-asan
    for name in "${names[@]}"; do
        only=$(wanted "$name" only)
        [ -n "$only" ] && [ "$only" != $kind ] && continue
        exit_wanted=$(wanted "$name" expect-exit)
        seconds=$(wanted "$name" seconds)
        stderr_wanted=$(wanted "$name" expect-stderr)
        status=0
        MOOR_TEST_MAIN=$name.js timeout "${seconds:-30}" "$host" first söcond '' 2>"$out/stderr" </dev/null || status=$?
        if [ "$status" -ne "${exit_wanted:-0}" ] || ! grep -qF -- "$stderr_wanted" "$out/stderr" ||
            grep -q '^not ok' "$out/stderr"; then
            failed=1
            echo "not ok - native $name ($kind): exit $status"
            sed 's/^/    /' "$out/stderr"
        else
            echo "ok - native $name ($kind): $(tail -n 1 "$out/stderr" | sed 's/^ok - //')"
        fi
    done
done
exit $failed
