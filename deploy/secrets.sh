#!/bin/sh
# Makes the secrets of deploy/compose.yaml that are not there yet: random, one a file. The folder is
# closed to other users; the files in it are not, since containers read them as users of their own.
set -eu
folder=${1:-${FLEETLINE_SECRETS:-"$(dirname "$0")/secrets"}}
mkdir -p "$folder"
chmod 700 "$folder"

make() { # name; what it holds comes from standard input
  [ -s "$folder/$1" ] && { cat >/dev/null; return; }
  cat >"$folder/$1.new"
  chmod 444 "$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
}
random() {
  od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'
}

for name in auth_secret webhook_secret redis_password postgres_password postgres_superuser grafana_password; do
  random | make "$name"
done
redis=$(cat "$folder/redis_password")
postgres=$(cat "$folder/postgres_password")
# The same passwords as the servers and the roles want to read them.
printf 'requirepass %s\n' "$redis" | make redis.conf
printf 'redis://:%s@redis:6379/0\n' "$redis" | make redis_url
printf 'postgresql://fleetline:%s@postgres:5432/fleetline\n' "$postgres" | make database_url
