#!/bin/bash
# The image for tests with real pods: a root file system of Debian's own tools, and what the Dockerfile puts into it.
#
#   image.sh ROOT OUT.tar    makes the folder ROOT and the archive OUT.tar (docker save), and prints the size
#
# In: mmdebstrap, the environment .venv with pip, constraints/runtime.txt. Out: sipgateway.test/sipgateway-operator:VERSION
# and sipgateway.test/pause:1, which share a layer. A ROOT that is there is taken as it is but for sipgateway itself.
set -eu
cd "$(dirname "$0")/../.."
root=$1 out=$2 version=$(cat VERSION) pip="$PWD/.venv/bin/python -m pip -q --disable-pip-version-check"
say() { echo "image: $*" >&2; }

if [ ! -f "$root/.done" ]; then
  say "Debian with Python (about 40 s)"
  rm -rf "$root"
  sources=$(ls /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
  # git and ssh are for `sipgw sync`.
  mmdebstrap --quiet --variant=essential --include=python3,ca-certificates,git,openssh-client \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" $sources
  rm -rf "$root"/usr/share/{doc,man,locale,info} "$root"/var/{cache,log}/* "$root"/var/lib/apt/lists/*
  touch "$root/.done"
fi
python=$(chroot "$root" /usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
home=$root/opt/sipgateway wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
rm -rf "$home" && mkdir -p "$home/bin"
say "the packages of constraints/runtime.txt for Python $python"
$pip install --root-user-action=ignore --no-compile --no-warn-conflicts --require-hashes --only-binary :all: --python-version "$python" --implementation cp \
  --target "$home/lib" --requirement constraints/runtime.txt
$pip wheel --no-deps --no-build-isolation --wheel-dir "$wheels" .
$pip install --root-user-action=ignore --no-compile --no-deps --target "$home/lib" "$wheels"/*.whl
chroot "$root" /usr/bin/python3 -m compileall -q -x /kubernetes/ /opt/sipgateway/lib
(cd "$home/lib" && ls -d ./*.dist-info | sed 's,^\./,,; s/\.dist-info$//; s/-\([0-9][^-]*\)$/==\1/') >"$home/packages.txt"
cp LICENSE "$home/LICENSE"
cat >"$home/bin/sipgw" <<'END'
#!/usr/bin/python3
import sys

sys.path.insert(0, "/opt/sipgateway/lib")
from sipgateway.cli import main

sys.exit(main())
END
chmod 755 "$home/bin/sipgw"
.venv/bin/python tests/e2e/archive.py "$root" "$out" "sipgateway.test/sipgateway-operator:$version=/opt/sipgateway/bin/sipgw" \
  "sipgateway.test/pause:1=/bin/sleep infinity"
say "$(du -sm "$root" | cut -f 1) MB as files, of which sipgateway and its packages $(du -sm "$home" | cut -f 1) MB"
