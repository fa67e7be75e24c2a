#!/usr/bin/env bash
# environment.sh NAME REQUIREMENTS [with-cuda] prints the Python of a virtual environment with the
# requirements in it, which is made on the first call and kept outside the clone, under a name that
# follows them.
#
# torch from PyPI is built for CUDA on Linux and names 4 GB of libraries that a CPU never calls.
# So it is installed without them, and where it does not load as it is, empty stand-ins take their
# place (cuda_stand_ins.py). Should that fail too, everything is installed. With `with-cuda` it is
# installed whole, and jax with its own CUDA libraries.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
name="$1" requirements="$2" cuda="${3:-}"
python="${PYTHON:-python3}"

hash="$(cat "$requirements" "$0" "$here/cuda_stand_ins.py" |
	"$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:12])')"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/gpu-train/$name-$hash"
if [ -e "$venv/complete" ]; then
	echo "$venv/bin/python"
	exit
fi

say() { echo "$name: $*" >&2; }
say "making $venv"
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
"$python" -m venv "$venv" || {
	say "no virtual environment: install Python 3.11 or later with venv and pip (Debian: python3-venv)"
	exit 1
}
# What a command prints goes to standard error; the path alone is the answer.
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2; }
loads() { "$venv/bin/python" -c 'import torch' 2>/dev/null; }

torch="$(grep '^torch==' "$requirements")"
if [ -n "$cuda" ]; then
	sed 's/^jax==/jax[cuda13]==/' "$requirements" | install -r /dev/stdin
else
	grep -v '^torch==' "$requirements" | install -r /dev/stdin
	install --no-deps "$torch"
fi
if ! loads; then
	"$venv/bin/python" "$here/cuda_stand_ins.py" >&2 || true
	loads || install "$torch"
fi
"$venv/bin/python" -c 'import torch'
touch "$venv/complete"
say "made, $(du -sh "$venv" | cut -f1)"
echo "$venv/bin/python"
