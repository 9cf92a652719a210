# shellcheck shell=bash disable=SC2034 # the callers use the variables
# Set-up: tools that cargo builds, each of one exact version. Sourced by scripts/setup.sh.

# Later versions need a later Rust than Cargo.toml declares.
CARGO_LEPTOS=0.3.10
CARGO_FUZZ=0.13.2

# The version of a crate in Cargo.lock.
locked() {
  awk -v name="\"$1\"" '$1 == "name" { hit = $3 == name } hit && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' Cargo.lock
}

# find_tool NAME VERSION: the folder of a program with exactly this version.
find_tool() {
  local folder folders=()
  IFS=: read -ra folders <<<"$PATH"
  for folder in "$TOOLS/$1-$2/bin" "${CARGO_HOME:-$HOME/.cargo}/bin" "${folders[@]}"; do
    if [ -x "$folder/$1" ] && [ "$("$folder/$1" --version 2>/dev/null)" = "$1 $2" ]; then
      printf '%s\n' "$folder"
      return
    fi
  done
  return 1
}

# download_tool CRATE NAME VERSION: downloads the maintainers' binary where cargo-binstall is installed and reaches the network.
# Fails silently otherwise; then the tool is built.
download_tool() {
  local crate=$1 name=$2 version=$3
  cargo binstall -V >/dev/null 2>&1 || return 1
  mkdir -p "$TOOLS/$name-$version/bin"
  timeout 120 cargo binstall --no-confirm --force --no-track --disable-telemetry --disable-strategies compile \
    --install-path "$TOOLS/$name-$version/bin" "$crate@$version" >/dev/null 2>&1 || return 1
  # A binary for another system is installed, but does not run.
  find_tool "$name" "$version" >/dev/null || return 1
  say "$name $version: downloaded by cargo binstall into $TOOLS"
}

# build_tool CRATE NAME VERSION FLAG…: downloads it or builds it from the crates registry, for speed of building rather than of running.
build_tool() {
  local crate=$1 name=$2 version=$3
  shift 3
  if download_tool "$crate" "$name" "$version"; then
    return
  fi
  say "$name $version is missing: building it into $TOOLS (once per user, some minutes)"
  env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 CARGO_PROFILE_RELEASE_DEBUG=0 \
    cargo install --quiet --no-track --force --root "$TOOLS/$name-$version" "$crate@$version" "$@" ||
    fail "$name $version could not be built (see cargo's output above): run 'cargo install $crate@$version' by hand and try again."
  find_tool "$name" "$version" >/dev/null || fail "$name was built, but does not report the version $version: remove $TOOLS/$name-$version and try again."
}

# cargo-leptos, and wasm-bindgen in the version of the crate: both must use the same format.
setup_cargo_tools() {
  local bindgen
  bindgen=$(locked wasm-bindgen)
  [ -n "$bindgen" ] || fail "Cargo.lock names no wasm-bindgen: restore it with 'git checkout Cargo.lock' and try again."
  find_tool cargo-leptos "$CARGO_LEPTOS" >/dev/null || build_tool cargo-leptos cargo-leptos "$CARGO_LEPTOS" --locked
  # Without --locked: its lock file may name a crate version that was yanked.
  find_tool wasm-bindgen "$bindgen" >/dev/null || build_tool wasm-bindgen-cli wasm-bindgen "$bindgen" --bin wasm-bindgen
}

# use_cargo_tools: sets LEPTOS, and puts the right wasm-bindgen first on PATH, where cargo-leptos looks.
use_cargo_tools() {
  LEPTOS=$(find_tool cargo-leptos "$CARGO_LEPTOS")/cargo-leptos
  PATH="$(find_tool wasm-bindgen "$(locked wasm-bindgen)"):$PATH"
}

# cargo-fuzz, and the C++ compiler that libFuzzer is built with.
setup_fuzz() {
  have c++ || apt_install "a C++ compiler" g++
  find_tool cargo-fuzz "$CARGO_FUZZ" >/dev/null || build_tool cargo-fuzz cargo-fuzz "$CARGO_FUZZ" --locked
}
