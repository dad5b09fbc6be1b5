#!/usr/bin/env bash
# Runs everything that needs a machine with an accelerator, within minutes: see benchmarks/on_device.
#   tools/on_device.sh WHEELS --out FOLDER [--parts PART...] [--base FOLDER] [--minutes 9] [--slots 14] [--tiny]
#
# It begins with the tests that need a GPU, then measures; what there was no time for is in the table as not run.
# WHEELS is a folder of the packages that machine's Python lacks; nothing is downloaded. A Python 3.12 with torch,
# torchvision, timm, pytorch-lightning, torchmetrics, scikit-learn, scipy, matplotlib, jaxtyping, rich, pillow,
# safetensors, pyyaml, filelock and pandas lacks these:
#   python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
#     --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 -d .whl \
#     jsonargparse==4.53.0 docstring-parser==0.18.0 typeshed-client==2.15.0 \
#     pytest==9.2.0 pluggy==1.7.0 iniconfig==2.3.1 pytest-timeout==2.4.0 beartype==0.23.1 \
#     hypothesis==6.170.17 sortedcontainers==2.4.0 lightly==1.6.0
# --base is a folder with the src of another version, to compare what the methods learn:
#   mkdir .base && git archive COMMIT src | tar x -C .base
set -euo pipefail
began=$(date +%s)
wheels=$1
shift
python=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
cd "$(dirname "$0")/.."
if compgen -G "$wheels/*.whl" > /dev/null; then
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" "$wheels"/*.whl
fi
export PYTHONPATH="$PWD/src:$site" PYTHONUNBUFFERED=1
"$python" -W ignore -m benchmarks.on_device --began "$began" "$@"
