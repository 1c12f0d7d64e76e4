#!/bin/sh
# Makes a component of each kind from the template in a folder of its own, tests it and builds it.
set -eu

template=$(cd "$(dirname "$0")" && pwd)
sdk=$(cd "$template/../sdk" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# One target folder for all kinds, so that the SDK is compiled once.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$folder/target}
export CARGO_TARGET_DIR

for kind in interceptor sink source; do
    project=$folder/my-$kind
    mkdir -p "$project/src" "$project/.cargo"
    sed -e "s|{{name}}|my-$kind|" -e "s|{{sdk}}|{ path = \"$sdk\" }|" \
        "$template/Cargo.toml.in" >"$project/Cargo.toml"
    cp "$template/cargo-config.toml" "$project/.cargo/config.toml"
    cp "$template/gitignore" "$project/.gitignore"
    cp "$template/$kind.rs" "$project/src/lib.rs"
    cp "$template/../rust-toolchain.toml" "$project/" 2>/dev/null ||
        cp "$template/../../rust-toolchain.toml" "$project/"
    # The lock of the workspace: what is tested here is the template, not today's registry.
    cp "$template/../Cargo.lock" "$project/"

    cd "$project"
    cargo fmt --check
    RUSTFLAGS="-D warnings" cargo test --quiet
    cargo build --quiet --release --target wasm32-wasip2
    component=$CARGO_TARGET_DIR/wasm32-wasip2/release/my_$kind.wasm
    printf '%s: %s bytes\n' "my-$kind" "$(wc -c <"$component")"
done
