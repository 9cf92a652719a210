# shellcheck shell=bash
# Set-up: the Rust toolchain and its wasm32 target. Sourced by scripts/setup.sh.

WASM=wasm32-unknown-unknown

# A C compiler, for SQLite, and a recent Rust.
setup_rust() {
  local needed found
  have cargo || fail "cargo is missing: install Rust with rustup and try again."
  found=$(rustc --version 2>/dev/null | awk '{ print $2 }') || true
  [ -n "$found" ] || fail "rustc does not work: run 'rustup default stable' and try again."
  needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  at_least "${found%%-*}" "$needed" ||
    fail "Rust $needed or later is needed, and this is $found: run 'rustup update stable' and try again."
  have cc || apt_install "a C compiler" gcc libc6-dev
  have git || apt_install git git
}

# rustfmt and clippy.
setup_lint() {
  local component
  for component in rustfmt clippy; do
    cargo "${component#rust}" --version >/dev/null 2>&1 && continue
    have rustup || fail "$component is missing: install it beside cargo and try again."
    say "$component is missing: adding it with rustup"
    rustup component add "$component" || fail "rustup could not add $component: see its output above."
  done
}

# Whether the toolchain in this folder has the standard library for wasm32.
has_wasm() { compgen -G "$1/lib/rustlib/$WASM/lib/libstd-*.rlib" >/dev/null; }

# The wasm32 target: rustup's, else Debian's Rust with a standard library that is built here.
setup_wasm() {
  has_wasm "$(rustc --print sysroot)" && return
  debian_rust_is_ready && return
  if have rustup; then
    say "the $WASM target is missing: adding it with rustup"
    rustup target add "$WASM" && has_wasm "$(rustc --print sysroot)" && return
    say "rustup does not offer $WASM here: using Debian's Rust for it"
  fi
  setup_debian_rust
}

# use_wasm: puts a toolchain for wasm32 first on PATH. Only for the process that builds the page.
use_wasm() {
  if ! has_wasm "$(rustc --print sysroot)"; then
    PATH="$TOOLS/debian-rust/bin:$PATH"
  fi
  # Debian's Rust has no rust-lld.
  if [ "$(rustc --print sysroot)" = /usr ]; then
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
  fi
}

# Written beside the standard library that was built here: the version of its compiler.
DEBIAN_STAMP=/usr/lib/rustlib/$WASM/built-for

debian_rust_is_ready() {
  [ -x "$TOOLS/debian-rust/bin/rustc" ] && have wasm-ld-19 && has_wasm /usr &&
    [ "$(cat "$DEBIAN_STAMP" 2>/dev/null)" = "$(/usr/bin/rustc --version 2>/dev/null)" ]
}

# Debian packages the source of the standard library but no build for wasm32: built here, in about half a minute.
setup_debian_rust() {
  local work version name as_root=()
  apt_install "Debian's Rust" rustc-web cargo-web rust-web-src rust-web-clippy lld-19
  version=$(/usr/bin/rustc --version | awk '{ print $2 }')
  [ -d "/usr/src/rustc-$version/library" ] ||
    fail "the source of Rust $version's standard library is missing: install a rust-web-src of the version of rustc-web."
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi

  say "building Rust $version's standard library for $WASM"
  work=$(mktemp -d)
  cp -r "/usr/src/rustc-$version/library" "$work/library"
  if ! (
    cd "$work/library"
    env -u CARGO_TARGET_DIR -u RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc \
      __CARGO_DEFAULT_LIB_METADATA=std RUSTFLAGS="-Cembed-bitcode=yes -Zforce-unstable-if-unmarked" \
      /usr/bin/cargo build --release --target "$WASM" --manifest-path sysroot/Cargo.toml
  ) >"$work/log" 2>&1; then
    tail -n 15 "$work/log" >&2
    rm -rf "$work"
    fail "the standard library for $WASM could not be built (see its output above): run 'rustup target add $WASM' where rustup offers it."
  fi
  "${as_root[@]}" mkdir -p "/usr/lib/rustlib/$WASM/lib"
  "${as_root[@]}" find "/usr/lib/rustlib/$WASM/lib" -name '*.rlib' -delete
  "${as_root[@]}" cp "$work/library/target/$WASM/release/deps/"*.rlib "/usr/lib/rustlib/$WASM/lib/"
  /usr/bin/rustc --version | "${as_root[@]}" tee "$DEBIAN_STAMP" >/dev/null
  rm -rf "$work"

  # Only these go before rustup's, not all of /usr/bin.
  mkdir -p "$TOOLS/debian-rust/bin"
  for name in cargo rustc rustdoc cargo-clippy clippy-driver; do
    ln -sf "/usr/bin/$name" "$TOOLS/debian-rust/bin/$name"
  done
}
