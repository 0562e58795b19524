#!/bin/sh
# start.sh ROLE [OPTION...]: runs a role, and makes its folder first where there is none. Options come by the environment too
# (docs/CONFIGURATION.md). Beside these:
#   JOIN_TOKEN_FILE  file of the join token: an authority that makes its folder writes it, a node reads it
#   LAYER_BY_NUMBER  when set, the number at the end of the name of the host says the layer: 0, 1, 2, 3 are layers 1, 2, 3, 1
# Any other command of mixsocks runs as it is: start.sh directory token list --dir /data
set -eu
role=${1:-}

# wait_for FILE: an authority that starts beside this role is about to write it.
wait_for() {
  tries=0
  until [ -s "$1" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 120 ]; then
      echo "start.sh: $1 did not come in two minutes" >&2
      exit 3
    fi
    sleep 1
  done
}

case "$role ${2:-}" in
  "directory token" | "directory expel" | "directory network" | "directory audit" | "gateway invite") ;;
  directory\ *)
    # An authority begins without network.json: it makes it.
    if [ ! -e "$MIXSOCKS_DIR/config.json" ]; then
      said=$(env -u MIXSOCKS_NETWORK_FILE mixsocks init directory)
      token=$(echo "$said" | sed -n 's/^join token //p')
      if [ -n "$token" ] && [ -n "${JOIN_TOKEN_FILE:-}" ]; then
        (umask 077 && echo "$token" >"$JOIN_TOKEN_FILE")
        said=$(echo "$said" | sed "s|^join token .*|join token: in $JOIN_TOKEN_FILE|")
      fi
      echo "$said"
    fi
    ;;
  mixnode\ * | gateway\ * | requester\ * | proxy\ *)
    if [ -n "${LAYER_BY_NUMBER:-}" ]; then
      MIXSOCKS_LAYER=$((${HOSTNAME##*-} % 3 + 1))
      export MIXSOCKS_LAYER
    fi
    if [ -n "${JOIN_TOKEN_FILE:-}" ]; then
      wait_for "$JOIN_TOKEN_FILE"
      MIXSOCKS_JOIN_TOKEN=$(cat "$JOIN_TOKEN_FILE")
      export MIXSOCKS_JOIN_TOKEN
    fi
    wait_for "${MIXSOCKS_NETWORK_FILE:-$MIXSOCKS_DIR/network.json}"
    set -- "$@" --init
    ;;
esac
exec mixsocks "$@"
