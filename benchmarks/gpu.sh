#!/usr/bin/env bash
# Everything that is to be measured on an NVIDIA GPU, in under ten minutes; a trial without one takes small sizes.
#
#     bash benchmarks/gpu.sh | tee gpu.md
#     bash benchmarks/gpu.sh cpu
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONUNBUFFERED=1
device=${1:-cuda}
python=${PYTHON:-python}
small=()
repeats=5
if [ "$device" = cpu ]; then
    small=(data.crop=32 data.batch_size=1)
    repeats=1
fi

echo "## Triton against the reference"
"$python" -m pytest -q -p no:cacheprovider tests/reblur/test_triton_kernel.py

echo "## The operator"
if [ "$device" = cpu ]; then
    "$python" benchmarks/gpu_operator.py --device cpu --size 48 --batch 1 --repeats 1
else
    "$python" benchmarks/gpu_operator.py
fi

# A step of ours on CUDA also runs once under torch.cuda.set_sync_debug_mode("error").
for precision in 32-true bf16-mixed; do
    for sizes in "unet data.batch_size=8" "compact data.crop=96 data.batch_size=64" "mprnet data.batch_size=2"; do
        read -r -a each <<< "backbone=$sizes"
        echo "## A step: ${each[*]}, $precision"
        "$python" benchmarks/step.py --device "$device" --repeats "$repeats" "${each[@]}" "${small[@]}" \
            objective=jdrl_robust trainer.precision="$precision"
    done
done

echo "## Rendering"
"$python" benchmarks/render.py --device "$device" --frames $((4 * repeats))
