#!/usr/bin/env bash
# Compares the release binary and the committed references with PyTorch, scikit-learn,
# TensorBoard and Optuna. Arguments go to pytest. GPU_TRAIN names another binary.
set -euo pipefail
cd "$(dirname "$0")"
python="$(./environment.sh interop ../reference/requirements.txt)"
export PYTHONDONTWRITEBYTECODE=1
exec "$python" -m pytest -p no:cacheprovider -q -rP --durations=5 "${@:-.}"
