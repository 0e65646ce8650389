# Recipes for developers; `just` lists them. The set-up is in Rust: `cargo lab setup`.

_default:
    @just --list

# Everything CI runs.
check:
    cargo lab test

# Run the tests whose names match.
test *NAME:
    cargo test -p plimsoll --test all -- {{NAME}}

# Build the binary.
build:
    cargo build --release -p plimsoll

# Deploy the sample application to this machine and show it answering.
demo:
    cargo lab demo

# Figures, as ratios within one run.
bench:
    cargo build --release -p plimsoll
    cargo run --release -p lab -- bench

# Scores against recorded behaviour of the tools plimsoll replaces (needs ../shared).
conformance:
    cargo test -p plimsoll --test all -- conformance --nocapture
    cargo run -q -p conformance -- cases ../shared/conformance/kamal/cases/visible target/conformance/cases
    -python3 ../shared/conformance/kamal/compare.py -q --batch ../shared/conformance/kamal/cases/visible target/conformance/cases
    cargo run -q -p conformance -- text ../shared/conformance/kamal/text/visible target/conformance/text
    -for file in target/conformance/text/*.json; do python3 ../shared/conformance/kamal/compare.py --text ../shared/conformance/kamal/text/visible/$(basename $file) $file; done
    cargo run -q -p conformance -- config ../shared/conformance/kamal/config/visible/cases.json target/conformance/config.json
    -python3 ../shared/conformance/kamal/compare.py --config ../shared/conformance/kamal/config/visible/cases.json target/conformance/config.json

# What cfn-lint says of the templates of the conformance data.
lint-templates:
    cargo lab lint-templates

# Looks for inputs that make the Copilot renderer panic (needs nightly and cargo-fuzz).
fuzz SECONDS="1200":
    cd plugins/ecs-renderer/fuzz && cargo +nightly fuzz run package -- -max_total_time={{SECONDS}}

# The binary with its components compiled beside it, in dist/.
dist:
    cargo build --release -p plimsoll
    mkdir -p dist && cp target/release/plimsoll dist/
    dist/plimsoll plugin precompile dist/plimsoll-aot

# Licences and advisories of dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# An AWS on this machine with a Copilot application in it: `eval "$(just aws-double)"`, then `just aws-double down`.
aws-double WHAT="up":
    cargo lab aws {{WHAT}}

# Servers for trying things: `just lab up 2`, `just lab down`.
lab *ARGS:
    cargo lab {{ARGS}}
