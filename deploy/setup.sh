#!/usr/bin/env bash
# Makes this machine and this checkout ready to build Starling. `make` runs it before everything
# else; running it again costs well under a second. What it sees to:
#
#   1. a C++ compiler and the Rust toolchain that rust-toolchain.toml pins
#   2. libclang, which bindgen needs to read RocksDB's header (installed with apt-get if missing)
#   3. the sources of every crate in Cargo.lock
#   4. librocksdb.a, built once per user into ~/.cache/starling and linked by every profile of
#      every checkout: 343 C++ files are 40 minutes of processor time, too much to spend per target
#   5. .cargo/config.toml of this checkout (ignored by git), which tells cargo about 2 and 4
#
# `deploy/setup.sh toolchain` changes nothing: it prints the toolchain that stands in for the
# pinned one, or nothing when the pinned name itself will do. The Makefile exports the answer.
#
# Honoured from the environment: LIBCLANG_PATH, ROCKSDB_LIB_DIR (your own RocksDB, used as it is),
# ROCKSDB_STATIC, XDG_CACHE_HOME, CXX, CARGO_BUILD_JOBS, RUSTUP_TOOLCHAIN.
set -euo pipefail

main() {
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    case "${1:-}" in
        "") ;;
        toolchain)
            stand_in_toolchain
            return
            ;;
        *) fail "Usage: deploy/setup.sh [toolchain], without the word to set everything up." ;;
    esac
    check_compilers
    find_libclang || install_libclang
    fetch_crates
    find_rocksdb || build_rocksdb
    write_config
    say "ready; RocksDB is in $rocksdb_dir"
}

check_compilers() {
    cxx="${CXX:-c++}"
    { command -v cc && command -v "${cxx%% *}"; } >/dev/null || fail \
        "There is no C and C++ compiler here (looked for cc and $cxx). On Debian: apt-get install" \
        "build-essential. Elsewhere, install gcc and g++. Then run this again."
    command -v cargo >/dev/null || fail \
        "There is no cargo on the PATH. Install rustup from https://rustup.rs (it needs no root)," \
        "open a new shell so that ~/.cargo/bin is on the PATH, and run this again."
    local instead
    instead=$(stand_in_toolchain)
    if [ -n "$instead" ]; then
        export RUSTUP_TOOLCHAIN="$instead"
    fi
    local about
    about=$(rustc -vV) || fail \
        "rustc does not start. rust-toolchain.toml pins Rust $(pinned_toolchain): with a network," \
        "'rustup toolchain install $(pinned_toolchain) -c rustfmt -c clippy' brings it. Without" \
        "one, any installed toolchain of that version will do as rustup's default."
    target=$(sed -n 's/^host: //p' <<<"$about")
    local version
    version=$(sed -n 's/^release: //p' <<<"$about")
    if [ "$version" != "$(pinned_toolchain)" ]; then
        say "note: this is Rust $version; Starling is only checked with $(pinned_toolchain)"
    fi
}

# A machine without a network may hold the pinned version under the name `stable` only, and rustup
# would then refuse to work in this directory. Using it under that name saves a download elsewhere.
stand_in_toolchain() {
    if [ -n "${RUSTUP_TOOLCHAIN:-}" ] || ! command -v rustup >/dev/null; then return 0; fi
    local installed default pinned
    pinned=$(pinned_toolchain)
    installed=$(rustup toolchain list 2>/dev/null) || return 0
    if grep -qE "^$pinned(-| |\$)" <<<"$installed"; then return 0; fi
    default=$(sed -n 's/^\([^ ]*\) .*default.*/\1/p' <<<"$installed")
    if [ -z "$default" ]; then return 0; fi
    local version part
    version=$(RUSTUP_TOOLCHAIN="$default" rustc --version 2>/dev/null | cut -d' ' -f2) || return 0
    if [ "$version" != "$pinned" ]; then return 0; fi
    for part in cargo-fmt cargo-clippy; do
        rustup which --toolchain "$default" "$part" >/dev/null 2>&1 || return 0
    done
    echo "$default"
}

pinned_toolchain() { sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml; }

# Succeeds when bindgen will find libclang. `libclang_path` is set only if it must be told where.
# A library without clang's own headers (Debian's libclang1-14 alone) is no use: it reads no C.
find_libclang() {
    libclang_path=""
    if [ -n "${LIBCLANG_PATH:-}" ]; then
        has_libclang "$LIBCLANG_PATH" || [ -f "$LIBCLANG_PATH" ] || fail \
            "LIBCLANG_PATH is $LIBCLANG_PATH, but there is no libclang*.so there. Point it at" \
            "the directory that holds the library, or unset it to let this script look."
        libclang_path="$LIBCLANG_PATH"
        return 0
    fi
    local dir known
    for dir in /usr/lib/llvm-*/lib; do
        if has_libclang "$dir" && has_headers "$dir"; then return 0; fi
    done
    known=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null |
        sed -n 's|.*=> \(.*/libclang[-.0-9]*so[.0-9]*\)$|\1|p') || known=""
    while read -r dir; do
        if [ -n "$dir" ] && has_headers "$(dirname "$(readlink -f "$dir")")"; then return 0; fi
    done <<<"$known"
    if dir=$(llvm-config --libdir 2>/dev/null) && has_libclang "$dir" && has_headers "$dir"; then
        libclang_path="$dir"
        return 0
    fi
    return 1
}

has_libclang() { compgen -G "$1/libclang*.so*" >/dev/null; }

has_headers() {
    compgen -G "$1/clang/*/include/stddef.h" >/dev/null ||
        compgen -G "/usr/lib/clang/*/include/stddef.h" >/dev/null
}

install_libclang() {
    local as_root=() log="$cache/apt.log"
    if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
    # Without a terminal nobody can type a password, so sudo must not wait for one.
    if [ "$(id -u)" != 0 ] && ! [ -t 0 ]; then as_root=(sudo -n); fi
    mkdir -p "$cache"
    say "installing libclang-dev with apt-get (bindgen reads RocksDB's header with it)"
    local began=$SECONDS
    if ! {
        command -v apt-get &&
            { apt_install "${as_root[@]}" ||
                { "${as_root[@]}" apt-get update && apt_install "${as_root[@]}"; }; }
    } >"$log" 2>&1 || ! find_libclang; then
        fail "libclang is missing and could not be installed from here (see $log). On Debian or" \
            "Ubuntu run 'apt-get install libclang-dev' as root; elsewhere install clang with its" \
            "headers, or set LIBCLANG_PATH to the directory of libclang.so. Then run this again."
    fi
    say "libclang-dev installed in $((SECONDS - began)) s"
}

apt_install() {
    "$@" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libclang-dev
}

# Every platform's crates, not only this one's: the licence test reads the manifests of them all.
fetch_crates() {
    if cargo fetch --locked --offline --quiet 2>/dev/null; then return 0; fi
    say "downloading the crates named in Cargo.lock"
    cargo fetch --locked || fail \
        "The crates named in Cargo.lock could not be fetched (cargo says why above). With no" \
        "network, copy ~/.cargo/registry from a machine that has them."
}

# Succeeds when there is a library to link, in the environment's directory or in the cache.
find_rocksdb() {
    if [ -n "${ROCKSDB_LIB_DIR:-}" ]; then
        rocksdb_dir="$ROCKSDB_LIB_DIR"
        rocksdb_static="${ROCKSDB_STATIC:-}"
        if [ -f "$rocksdb_dir/librocksdb.a" ]; then rocksdb_static=1; fi
        compgen -G "$rocksdb_dir/librocksdb.*" >/dev/null || fail \
            "ROCKSDB_LIB_DIR is $rocksdb_dir, but there is no librocksdb.a or librocksdb.so in" \
            "it. Point it at one, or unset it to have the library built (once) for you."
        return 0
    fi
    # The version of the crate names the version of the C++ too: 0.19.0+11.8.1.
    version=$(awk '/^name = "librocksdb-sys"$/ { getline; gsub(/version = |"/, ""); print }' \
        Cargo.lock)
    [ -n "$version" ] || fail "Cargo.lock names no librocksdb-sys: is this checkout complete?"
    local compiler
    compiler=$($cxx -dumpversion) || fail "The C++ compiler '$cxx' does not start."
    key="librocksdb-$version-$target-${compiler%%.*}"
    rocksdb_dir="$cache/$key/lib"
    rocksdb_static=1
    [ -s "$rocksdb_dir/librocksdb.a" ]
}

# Builds through cargo, with this checkout's own lock file and features, so that the library is
# exactly what cargo would have linked. It appears in the cache by a rename: killed at any moment,
# this leaves nothing that a later run could mistake for a library.
build_rocksdb() {
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    if ! flock -n 9; then
        say "another checkout is building RocksDB; waiting for it"
        flock 9
    fi
    if find_rocksdb; then return 0; fi
    # Only the holder of the lock builds, so what lies here belongs to a build that was killed.
    rm -rf "$cache"/build.*
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap abandon_build EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    local log="$cache/$key.log" began=$SECONDS cores
    cores=$(nproc)
    say "building RocksDB $version, once for this user: about $((40 / cores + 1)) min on" \
        "$cores idle cores (log: $log)"
    compile_rocksdb "$log"
    keep_rocksdb
    exec 9>&-
    trap - EXIT INT TERM HUP
    rm -rf "$work"
    say "RocksDB built in $(((SECONDS - began) / 60)) min $(((SECONDS - began) % 60)) s"
}

# Its own session, so that giving up ends the compilers too and not only cargo. Descriptor 9, the
# lock, stays out of it: a compiler that outlives a killed script must not hold up the next one.
# The caller's flags stay out as well: the cache serves machines and checkouts that have others.
compile_rocksdb() {
    local log="$1" dir="$work/target" began=$SECONDS passed next=30
    setsid env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_RUSTFLAGS \
        -u CARGO_BUILD_TARGET ROCKSDB_COMPILE=1 CARGO_PROFILE_RELEASE_DEBUG=false \
        CARGO_TARGET_DIR="$dir" CARGO_BUILD_BUILD_DIR="$dir" \
        cargo build --package librocksdb-sys --release --locked </dev/null >"$log" 2>&1 9>&- &
    build=$!
    while kill -0 "$build" 2>/dev/null; do
        sleep 1
        passed=$((SECONDS - began))
        if ((passed >= next)); then
            say "  $(compiled_files) files compiled after $((passed / 60)) min $((passed % 60)) s"
            next=$((passed + 30))
        fi
    done
    wait "$build" || fail \
        "RocksDB did not build; the end of $log says why, and nothing was kept. The usual reason" \
        "is memory: each compiler process takes up to 1 GiB, and CARGO_BUILD_JOBS=1 runs only" \
        "one at a time. Otherwise point ROCKSDB_LIB_DIR at a RocksDB ${version#*+} of your own."
    build=""
}

compiled_files() {
    local crate="librocksdb-sys-$version" compiled all
    compiled=$(find "$work" -path '*/librocksdb-sys-*/*.o' | wc -l)
    all=$(cat "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate"/rocksdb_lib_sources.txt \
        2>/dev/null | grep -c .) || all="?"
    echo "$compiled of $all"
}

keep_rocksdb() {
    local built
    built=$(find "$work" -name librocksdb.a -print -quit)
    [ -s "$built" ] || fail "cargo ended well but left no librocksdb.a below $work."
    mkdir -p "$work/kept/lib"
    mv "$built" "$work/kept/lib/librocksdb.a"
    rm -rf "${cache:?}/$key"
    mv -T "$work/kept" "$cache/$key"
}

abandon_build() {
    if [ -n "${build:-}" ]; then kill -- "-$build" 2>/dev/null || true; fi
    rm -rf "$work"
}

# Written only when it changes: cargo looks at these variables to decide what to build again.
write_config() {
    local config=".cargo/config.toml" title="# Written by deploy/setup.sh; git ignores it."
    local wanted="$title
[env]
ROCKSDB_LIB_DIR = '$rocksdb_dir'"
    if [ -n "$rocksdb_static" ]; then wanted+=$'\nROCKSDB_STATIC = "1"'; fi
    if [ -n "$libclang_path" ]; then wanted+=$'\n'"LIBCLANG_PATH = '$libclang_path'"; fi
    if [ -f "$config" ]; then
        local current
        current=$(cat "$config")
        if [ "$current" = "$wanted" ]; then return 0; fi
        [ "${current%%$'\n'*}" = "$title" ] || fail \
            "$config exists and is not this script's, so it was left as it is. Move your settings" \
            "to ~/.cargo/config.toml, remove the file, and run this again."
    fi
    mkdir -p .cargo
    printf '%s\n' "$wanted" >"$config.new"
    mv "$config.new" "$config"
    say "wrote $config"
}

say() { echo "setup: $*"; }

fail() {
    echo >&2
    echo "setup: $*" | fold -s -w 96 >&2
    exit 1
}

cache="${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/starling"

main "$@"
