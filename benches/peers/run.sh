#!/usr/bin/env bash
# gpu-train and its peers side by side: run.py in a Python environment made on first use. Arguments go
# to run.py; `--python PATH`, first, takes an environment that is already there. Where an NVIDIA GPU is,
# torch and jax come with their CUDA libraries.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
if [ "${1:-}" = --python ]; then
	python="$2"
	shift 2
elif nvidia-smi -L >/dev/null 2>&1; then
	python="$("$here/../../tests/interop/environment.sh" peers-cuda "$here/requirements.txt" with-cuda)"
else
	python="$("$here/../../tests/interop/environment.sh" peers "$here/requirements.txt")"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$here/run.py" "$@"
