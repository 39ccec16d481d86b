#!/bin/sh
# Two network namespaces as two machines: each runs one process of a tiny run, and the scores of
# both must be those of the same run on one machine. Needs root and iproute2.
#
#     sudo sh tests/multi/two_machines.sh [PYTHON]
set -eu

python=$(cd "$(dirname "${1:-.venv/bin/python}")" && pwd)/$(basename "${1:-.venv/bin/python}")
tests=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
export PYTHONPATH="$tests" OMP_NUM_THREADS=1

clean_up() {
    ip netns del skelab-a 2>/dev/null || true
    ip netns del skelab-b 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

ip netns add skelab-a
ip netns add skelab-b
ip link add veth-a netns skelab-a type veth peer name veth-b netns skelab-b
ip -n skelab-a addr add 10.77.0.1/24 dev veth-a
ip -n skelab-b addr add 10.77.0.2/24 dev veth-b
for side in a b; do
    ip -n skelab-$side link set lo up
    ip -n skelab-$side link set veth-$side up
done

"$python" -c "
from pathlib import Path
from tiny_clips import tiny_store
tiny_store(Path('$work/clips.arrow'))"

run_on() { # machine, number, folder of the run: machines share a disk, as in a cluster
    GLOO_SOCKET_IFNAME=veth-$1 ip netns exec skelab-$1 "$python" -m torch.distributed.run \
        --nnodes=2 --nproc-per-node=1 --node-rank="$2" \
        --master-addr=10.77.0.1 --master-port=29500 \
        "$tests/tiny_shared_run.py" "$work/clips.arrow" "$work/two" train
}
run_on b 1 &
run_on a 0
wait $!

"$python" -m torch.distributed.run --standalone --nproc-per-node=2 \
    "$tests/tiny_shared_run.py" "$work/clips.arrow" "$work/one" train

"$python" - "$work" <<'CHECK'
import sys
from pathlib import Path

import numpy as np

work = Path(sys.argv[1])
for number in (0, 1):
    here, there = (np.load(work / run / f"logits-{number}.npy") for run in ("one", "two"))
    assert here.shape == there.shape and np.isfinite(there).all()
    difference = float(np.abs(here - there).max())
    print(f"process {number}: {len(there)} clips, largest difference of a logit {difference:.1e}")
    assert difference < 1e-5, "two machines gave other scores than one"
print("two machines gave the scores of one")
CHECK
