#!/bin/sh
# Makes a virtual environment hold exactly what constraints/KIND.txt pins. Only a shell and Python >= 3.11 are needed.
#
#   tools/venv.sh runtime|dev|test|lock FOLDER   sets FOLDER up; returns at once when it is as it should be
#   tools/venv.sh other FOLDER                   prints the newest supported Python whose version is not FOLDER's
#
# In: pyproject.toml, constraints/, PYTHON (which Python to use; default: the first that will do). Out: FOLDER with a
# stamp, a line on stderr per long step. What the machine sets for pip (indexes, certificates, folders of wheels) holds;
# what would change the pinned set or its place does not.
set -eu
cd "$(dirname "$0")/.."
unset PIP_REQUIREMENT PIP_EDITABLE PIP_TARGET PIP_PREFIX PIP_USER PIP_ROOT PIP_NO_BINARY PYTHONPATH PYTHONHOME
export PIP_CONSTRAINT=/dev/null # wins over pip.conf too
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PIP_ROOT_USER_ACTION=ignore

say() { echo "setup: $*" >&2; }
version() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }
minor() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
suits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
pyenv() { ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1"*/bin/python3 2>/dev/null | sort -V -r || true; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    suits "$PYTHON" && echo "$PYTHON" && return
    say "PYTHON=$PYTHON is not a Python >= 3.11 with its venv module."
    return 1
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.14 python $(pyenv 3.1); do
    suits "$candidate" && echo "$candidate" && return
  done
  say "no Python >= 3.11 with its venv module was found (python3 is $(version python3 || echo missing))."
  say "Install one, e.g. with: apt-get install python3 python3-venv; or name one: make PYTHON=/path/to/python3.11 ..."
  return 1
}

other_python() {
  used=$(minor "$1/bin/python")
  for wanted in 3.13 3.12 3.11; do
    [ "$wanted" = "$used" ] && continue
    for candidate in "python$wanted" $(pyenv "$wanted."); do
      suits "$candidate" && echo "$candidate" && return
    done
  done
}

kind=$1 venv=$2
if [ "$kind" = other ]; then
  other_python "$venv"
  exit
fi

# The stamp's key: what the environment is made from. A moved folder is another one: scripts name their Python.
key() {
  { version "$venv/bin/python" || echo none; pwd; cat pyproject.toml VERSION tools/venv.sh "constraints/$1.txt"; } | cksum
}
fresh() {
  [ -f "$venv/.stamp-$1" ] && [ "$(cat "$venv/.stamp-$1")" = "$(key "$1")" ] &&
    { [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version "$venv/bin/python")" ]; }
}
done_already() { fresh "$kind" || { [ "$kind" = runtime ] && fresh dev; }; }

done_already && exit
mkdir -p .cache
if command -v flock >/dev/null; then # two calls at once: the second waits, then finds everything done
  exec 9>.cache/setup.lock
  flock 9
  done_already && exit
fi

python="$venv/bin/python"
if [ -n "${PYTHON:-}" ] || ! suits "$python"; then
  base=$(find_python)
  if [ "$(version "$base")" != "$(version "$python" || true)" ]; then
    say "making $venv with Python $(version "$base") (about 5 s)"
    if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
      say "$venv is in the way: it is no virtual environment."
      exit 1
    fi
    rm -rf "$venv"
    "$base" -m venv "$venv"
  fi
fi

rm -f "$venv"/.stamp-*
count=$(grep -c '^[a-z].*==' "constraints/$kind.txt")
say "installing the $count locked packages of constraints/$kind.txt (10 to 60 s, by the network)"
"$python" -m pip install -q --require-hashes --only-binary :all: -r "constraints/$kind.txt"
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
case $kind in
  dev)
    say "installing sipgateway from this folder (about 3 s)"
    rm -f "$packages/sipgateway-source.pth"
    "$python" -m pip install -q --no-deps --no-build-isolation -e .
    ;;
  runtime | test) # the build backend is not there: a path and a script do the same
    echo "$PWD/operator" >"$packages/sipgateway-source.pth"
    printf '#!%s\nimport sys\n\nfrom sipgateway.cli import main\n\nsys.exit(main())\n' "$PWD/$python" >"$venv/bin/sipgw"
    chmod +x "$venv/bin/sipgw"
    ;;
esac
key "$kind" >"$venv/.stamp-$kind"
say "$venv is ready"
