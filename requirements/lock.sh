#!/bin/sh
# Makes the two lock files anew from pyproject.toml. Needs uv (pip install uv); nobody else does.
set -eu
cd "$(dirname "$0")/.."
lock() { # name, further arguments
  out="requirements/$1.lock"; shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --custom-compile-command "requirements/lock.sh" \
    --extra embedded --extra insight --extra places --extra webhooks --group build "$@" pyproject.toml -o "$out"
}
lock run
lock dev --extra archive --group test --group check --group load --group bench
