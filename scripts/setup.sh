# shellcheck shell=bash
# What demo, check and CI share: finding or installing what a bare Debian or Ubuntu machine lacks.

note() { printf '\n== %s\n' "$*" >&2; }

# as_root COMMAND…  runs it as root, with sudo where need be.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# need_packages COMMAND:PACKAGE…  installs the packages whose command is missing; fails if it cannot.
need_packages() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} != 0 ] || return 0
  note "installing ${missing[*]}"
  if ! command -v apt-get >/dev/null; then
    echo "Please install: ${missing[*]}" >&2
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get update -q </dev/null >&2 || true
  as_root apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null >&2
}

# The oldest Rust that this builds with, as Cargo.toml has it.
rust_wanted() { sed -n 's/^rust-version *= *"\(.*\)"$/\1/p' Cargo.toml; }

# Ends with the one line that installs Rust where there is none, or one too old.
need_rust() {
  [ -d "$HOME/.cargo/bin" ] && PATH="$PATH:$HOME/.cargo/bin"
  local wanted have
  wanted=$(rust_wanted)
  have=$(rustc --version 2>/dev/null | sed 's/^rustc \([0-9.]*\).*/\1/') || have=
  if ! command -v cargo >/dev/null || [ "$(printf '%s\n' "$wanted" "${have:-0}" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "relayscope needs Rust $wanted or newer (found: ${have:-none}). This installs it:" >&2
    echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\"" >&2
    exit 1
  fi
}
