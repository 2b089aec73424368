#!/bin/bash
# `make e2e`: a real node, the image, the charts, real pods. Says why not and ends with 0 where the machine does not allow
# it; ends with another code only when a test has failed. Cleans up after itself, whatever happens.
#
# In: root and Debian's packages, which it installs if it may. Out: the tests' report. Long steps say so.
set -eu
cd "$(dirname "$0")/../.."
say() { echo "e2e: $*" >&2; }
cannot() { say "not run: $*" && exit 0; }

[ "$(uname -s)" = Linux ] && [ "$(uname -m)" = x86_64 ] || cannot "it needs Linux on x86_64"
[ "$(id -u)" = 0 ] || cannot "it needs root"
packages="containerd runc containernetworking-plugins iptables iproute2 openssl mmdebstrap"
for one in containerd:containerd runc:runc mmdebstrap:mmdebstrap iptables:iptables ip:iproute2 openssl:openssl; do
  command -v "${one%:*}" >/dev/null || missing=yes
done
[ -x /usr/lib/cni/bridge ] || missing=yes
if [ -n "${missing:-}" ]; then
  command -v apt-get >/dev/null || cannot "it needs Debian's packages $packages, and there is no apt-get"
  say "installing Debian's packages $packages"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends $packages; } >.cache/e2e-apt.log 2>&1 ||
    { tail -n 5 .cache/e2e-apt.log >&2 && cannot "Debian's packages cannot be installed"; }
fi
sh tools/controlplane.sh node
mkdir -p .cache/e2e
NODE_BIN=$(sh tools/controlplane.sh where) NODE_DIR=$PWD/.cache/e2e/node SIPGW_E2E=1
export NODE_BIN NODE_DIR SIPGW_E2E
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then # one folder with all of them
  NODE_BIN=$PWD/.cache/e2e/bin && mkdir -p "$NODE_BIN"
  for one in kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl etcd helm; do
    for from in "$(sh tools/controlplane.sh where)" "$KUBEBUILDER_ASSETS"; do
      [ ! -x "$from/$one" ] || ln -sf "$from/$one" "$NODE_BIN/$one"
    done
  done
fi
reason=$(bash tests/e2e/node.sh why)
[ -z "$reason" ] || cannot "$reason"
image=$PWD/.cache/e2e/image.tar
bash tests/e2e/image.sh "$PWD/.cache/e2e/root" "$image" || cannot "the image cannot be made: Debian's packages or PyPI are out of reach"
say "starting a node (about 10 s)"
trap 'bash tests/e2e/node.sh down; rm -f "$image"' EXIT
trap 'exit 130' INT TERM HUP
bash tests/e2e/node.sh down
if ! bash tests/e2e/node.sh up; then
  tail -n 5 "$NODE_DIR"/log/*.log >&2 || true
  cannot "a node does not become Ready on this machine"
fi
bash tests/e2e/node.sh load "$image" >/dev/null
result=0
.venv/bin/pytest -v -rA --show-capture=no -s -o cache_dir=.cache/pytest-e2e tests/e2e "$@" || result=$?
if [ "$result" != 0 ]; then
  kept=.cache/logs/e2e && rm -rf "$kept" && mkdir -p "$kept" && cp -r "$NODE_DIR/log" "$kept/node"
  for namespace in sipgateway-system voice; do
    bash tests/e2e/node.sh run kubectl get all,events,sipgateways,sipswitches --namespace "$namespace" --output yaml >"$kept/$namespace.yaml" || true
    bash tests/e2e/node.sh run kubectl logs --namespace "$namespace" --all-containers --prefix --tail=300 --selector app.kubernetes.io/name >"$kept/$namespace.log" || true
    tail -n 30 "$kept/$namespace.log" >&2 || true
  done
  say "logs are in $kept"
fi
exit "$result"
