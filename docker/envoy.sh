#!/usr/bin/env bash
# How the image chasqui/envoy runs Envoy. It talks to the admin socket with Perl, which is in every Debian and Ubuntu.
#
#   chasqui-envoy run COMMAND...   runs Envoy. By itself Envoy ends at once at SIGTERM and cuts every running call; here it
#                                  stops listening, tells clients to leave, and ends when the running calls have.
#   chasqui-envoy healthy          succeeds from the moment that calls can get through to server and edge for the first
#                                  time; from then on while Envoy itself answers, whatever is behind it.
set -uo pipefail

socket=${ENVOY_ADMIN_SOCKET:-/tmp/envoy-admin.sock}
ready=$socket.ready
# Shorter than stop_grace_period in compose.yaml and than terminationGracePeriodSeconds in the chart.
patience=${ENVOY_DRAIN_SECONDS:-40}

# admin METHOD PATH: the answer's body; fails if there is none, or not with status 200.
admin() {
  perl -MIO::Socket::UNIX -e '
    my ($path, $method, $target) = @ARGV;
    my $admin = IO::Socket::UNIX->new(Peer => $path) or exit 1;
    print $admin "$method $target HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    my ($head, $body) = split /\r\n\r\n/, join("", <$admin>), 2;
    exit 1 unless $head =~ m{^HTTP/1.1 200};
    print $body;
  ' "$socket" "$1" "$2"
}

# statistic PATTERN: the sum of the matching statistics' values, empty if Envoy does not answer.
statistic() { admin GET "/stats?filter=$1" | perl -ne '$sum += $1 if /: (\d+)$/; END { print $sum if defined $sum }'; }

drain() {
  trap '' TERM INT
  admin POST /healthcheck/fail > /dev/null # answers say `connection: close`, HTTP/2 connections get GOAWAY
  admin POST /drain_listeners > /dev/null
  local end=$((SECONDS + patience)) running
  while running=$(statistic '^http\.public\.downstream_rq_active$') && ((running > 0 && SECONDS < end)); do sleep 0.1; done
  ((${running:-0} == 0)) || echo "envoy: calls that still run after $patience s are cut: $running" >&2
  kill -TERM "$envoy"
}

# Envoy's own words for a file that it may not read say nothing of users.
check_files() {
  local config file
  config=$(sed -n 's/.*--config-path \([^ ]*\).*/\1/p' <<< "$*")
  while read -r file; do
    [[ -r $file ]] && continue
    echo "envoy: $file cannot be read by user $(id -u), as which Envoy runs here: give it to that user (chown $(id -u))." >&2
    exit 2
  done < <(grep -oP '"filename": "\K[^"]+' "$config")
}

case $1 in
  run)
    shift
    check_files "$@"
    rm -f "$ready"
    trap drain TERM INT
    "$@" &
    envoy=$!
    while kill -0 "$envoy" 2> /dev/null; do
      wait "$envoy"
      status=$?
    done
    exit "$status"
    ;;
  healthy)
    if [[ -e $ready ]]; then
      admin GET /server_info > /dev/null
      exit
    fi
    for cluster in edge chat_server; do
      (($(statistic "^cluster\.$cluster\.membership_healthy$") > 0)) || exit 1
    done
    touch "$ready"
    ;;
esac
