#!/bin/bash
# A real Kubernetes node (kubelet, containerd) with its control plane in private namespaces, for tests with real pods.
#
#   node.sh why          says on one line why it cannot run here, and nothing when it can
#   node.sh up           starts it; returns when the node is Ready
#   node.sh load TAR     imports images (docker save)
#   node.sh run CMD...   runs a command in its namespaces, with KUBECONFIG set
#   node.sh down         ends everything and cleans up
#
# In: NODE_BIN, the folder with the programs of `tools/controlplane.sh node`; NODE_DIR, a folder of its own. Out: a node
# `node`, with the network 10.244.0.0/24. Nothing of the machine is changed: mounts, network and processes are private,
# cgroups stand below /sipgateway-e2e and go with `down`. Root, and Debian's containerd, runc, containernetworking-plugins,
# iptables and iproute2 are needed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=${NODE_DIR:?a folder for the state} bin=${NODE_BIN:?the folder with the programs of Kubernetes}
group=sipgateway-e2e
programs="containerd runc ctr iptables ip openssl nsenter unshare"
kubernetes="kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl etcd helm"

hierarchies() { # the cgroup hierarchies of version 1 that are mounted
  for one in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do
    [ ! -d "/sys/fs/cgroup/$one" ] || echo "/sys/fs/cgroup/$one"
  done
}

why() {
  [ "$(id -u)" = 0 ] || { echo "it needs root" && return; }
  for one in $programs; do
    command -v "$one" >/dev/null || { echo "there is no $one on this machine" && return; }
  done
  [ -x /usr/lib/cni/bridge ] || { echo "there are no CNI plugins in /usr/lib/cni" && return; }
  for one in $kubernetes; do
    [ -x "$bin/$one" ] || { echo "there is no $bin/$one" && return; }
  done
  unshare -m -n -p -u -f --mount-proc --propagation private sh -c 'ip link add e2e-try type bridge' 2>/dev/null ||
    { echo "this machine allows no private mounts, networks and processes with a bridge" && return; }
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup/$group" 2>/dev/null &&
      echo '+cpu +memory +pids' 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control ||
      { echo "cgroups (version 2) cannot be written here" && return; }
  else
    for one in $(hierarchies); do
      mkdir -p "$one/$group" 2>/dev/null || { echo "$one cannot be written" && return; }
    done
    [ -d /sys/fs/cgroup/memory ] || { echo "there are no cgroups for memory here" && return; }
  fi
}

inside() {
  nsenter -t "$(cat "$dir/pid")" -m -n -p -u --wd="$PWD" env KUBECONFIG="$dir/admin.kubeconfig" HOME="$dir/home" PATH="$bin:$PATH" "$@"
}

configure() {
  mkdir -p "$dir"/{log,cni,pki,sysctl,home}
  echo 'nameserver 10.244.0.1' >"$dir/resolv.conf"
  cat >"$dir/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 10.244.0.1
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$group
failSwapOn: false
protectKernelDefaults: true
containerRuntimeEndpoint: unix://$dir/containerd.sock
clusterDomain: cluster.local
resolvConf: $dir/resolv.conf
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
healthzBindAddress: 127.0.0.1
imageMaximumGCAge: 0s
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "1Mi", nodefs.available: "0%", imagefs.available: "0%"}
END
  cat >"$dir/containerd.toml" <<END
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "sipgateway.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
END
  cat >"$dir/cni/10-e2e.conflist" <<END
{"cniVersion": "1.0.0", "name": "e2e", "plugins": [{"type": "bridge", "bridge": "e2e0", "isGateway": true,
 "ipMasq": false, "promiscMode": false, "hairpinMode": true, "ipam": {"type": "host-local", "dataDir": "$dir/cni-data",
 "ranges": [[{"subnet": "10.244.0.0/24", "gateway": "10.244.0.1"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
  [ -f "$dir/pki/sa.key" ] || openssl genrsa -out "$dir/pki/sa.key" 2048 2>/dev/null
  admin=$(openssl rand -hex 16) node=$(openssl rand -hex 16)
  (umask 077 && printf '%s\n' "$admin,admin,admin,\"system:masters\"" "$node,system:node:node,node,\"system:nodes\"" >"$dir/tokens.csv")
  for one in "admin $admin" "node $node"; do
    cat >"$dir/${one% *}.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.244.0.1:26443", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: "${one#* }"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
END
  done
}

boot() { # process 1 of the private namespaces
  mount --make-rshared /
  for one in /run/netns /run/containerd /run/runc /var/log/pods /var/log/containers /var/lib/cni /var/lib/kubelet; do
    mkdir -p "$one" && mount -t tmpfs t "$one"
  done
  mount --make-rshared /
  hostname node
  at=0
  for one in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1; do # what kubelet asks for
    at=$((at + 1)) && echo "${one#*=}" >"$dir/sysctl/$at" && mount --bind "$dir/sysctl/$at" "/proc/sys/${one%=*}"
  done
  ip link set lo up
  ip link add e2e0 type bridge
  ip addr add 10.244.0.1/24 dev e2e0
  ip addr add 10.96.0.1/32 dev lo
  ip link set e2e0 up
  ip route add default via 10.244.0.1
  echo 1 >/proc/sys/net/ipv4/ip_forward
  iptables -t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j REDIRECT --to-ports 26443 # no kube-proxy is needed
  for one in $(hierarchies); do mkdir -p "$one/$group"; done
  if [ -d /sys/fs/cgroup/cpuset ]; then
    for one in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$one" >"/sys/fs/cgroup/cpuset/$group/cpuset.$one"; done
  fi
  export KUBECONFIG=$dir/admin.kubeconfig PATH="$bin:/usr/bin:/usr/sbin:/bin:/sbin"
  containerd -c "$dir/containerd.toml" >"$dir/log/containerd.log" 2>&1 &
  etcd --data-dir "$dir/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:24790 \
    --advertise-client-urls http://127.0.0.1:24790 --listen-peer-urls http://127.0.0.1:24800 \
    --initial-advertise-peer-urls http://127.0.0.1:24800 --initial-cluster default=http://127.0.0.1:24800 \
    >"$dir/log/etcd.log" 2>&1 &
  kube-apiserver --etcd-servers=http://127.0.0.1:24790 --secure-port=26443 --bind-address=0.0.0.0 \
    --advertise-address=10.244.0.1 --kubelet-preferred-address-types=InternalIP --cert-dir="$dir/pki" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$dir/pki/sa.key" \
    --service-account-signing-key-file="$dir/pki/sa.key" --authorization-mode=Node,RBAC \
    --token-auth-file="$dir/tokens.csv" --service-cluster-ip-range=10.96.0.0/24 >"$dir/log/kube-apiserver.log" 2>&1 &
  for _ in $(seq 300); do kubectl get --raw /readyz >/dev/null 2>&1 && break || sleep 0.2; done
  kube-controller-manager --kubeconfig="$KUBECONFIG" --service-account-private-key-file="$dir/pki/sa.key" \
    --root-ca-file="$dir/pki/apiserver.crt" --use-service-account-credentials --leader-elect=false \
    >"$dir/log/kube-controller-manager.log" 2>&1 &
  kube-scheduler --kubeconfig="$KUBECONFIG" --leader-elect=false >"$dir/log/kube-scheduler.log" 2>&1 &
  kubelet --config="$dir/kubelet.yaml" --root-dir="$dir/kubelet" --cert-dir="$dir/kubelet-pki" \
    --kubeconfig="$dir/node.kubeconfig" --hostname-override=node --node-ip=10.244.0.1 >"$dir/log/kubelet.log" 2>&1 &
  exec sleep infinity
}

up() {
  reason=$(why)
  [ -z "$reason" ] || { echo "node: $reason" >&2 && exit 3; }
  configure
  unshare -m -n -p -u -f --mount-proc --propagation private "$0" boot >"$dir/log/boot.log" 2>&1 </dev/null &
  outer=$! child=
  for _ in $(seq 100); do
    child=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null || true)
    [ -z "$child" ] && sleep 0.1 || break
  done
  echo "${child%% *}" >"$dir/pid"
  for _ in $(seq 300); do
    ! inside kubectl get node node 2>/dev/null | grep -q ' Ready' || { echo "node: Ready" && exit; }
    sleep 0.3
  done
  echo "node: not Ready within 90 s; see $dir/log" >&2
  exit 1
}

down() {
  if [ -s "$dir/pid" ]; then
    kill -9 "$(cat "$dir/pid")" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$(cat "$dir/pid")" 2>/dev/null && sleep 0.1 || break; done
  fi
  for one in $(hierarchies) /sys/fs/cgroup/unified /sys/fs/cgroup; do
    for _ in $(seq 20); do
      find "$one/$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [ -d "$one/$group" ] && sleep 0.2 || break
    done
  done
  rm -rf "$dir"/{etcd,containerd,kubelet,kubelet-pki,cni-data,containerd.sock,pid,tokens.csv,pki} "$dir"/*.kubeconfig
}

case ${1:-} in
  why) why ;;
  up) up ;;
  boot) boot ;;
  load) shift && inside ctr -a "$dir/containerd.sock" -n k8s.io images import "$@" ;;
  run) shift && inside "$@" ;;
  down) down ;;
  *) sed -n '2,14p' "$here/node.sh" | sed 's/^# \{0,1\}//' && exit 2 ;;
esac
