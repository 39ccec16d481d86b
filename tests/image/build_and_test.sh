#!/usr/bin/env bash
# Builds an image and proves it on a Debian machine without Docker and without a registry of images:
# debootstrap makes the base, buildah builds, podman runs. Needs root, and no privilege beyond it.
#
#   tests/image/build_and_test.sh [cpu|cuda] [PYTEST ARGUMENT]...
#
# What is tested: the image says its version, runs as a user that is not root, writes a demo into
# its mount, reads a mount that is read-only, and its health check passes; then `make test` runs on
# the same libraries. At the end stand all sizes and times.
#
#   SCRATCH         keep everything in this folder, and take from it what is there already; without
#                   it, a new folder that is removed at the end
#   DEBIAN          the release that debootstrap makes the base from, by default bookworm
#   WITH_APEX       1 builds Apex in the cuda variant, by default 0; then
#   BUILD_IMAGE     has its compilers, and APEX_FOLDER is a folder to be mounted at /mnt/apex, so that
#                   APEX_REPOSITORY, APEX_COMMIT and APEX_OPTIONS can name a source that is at hand
#   SKIP_DEMO       1 leaves the demo out, and the training from a mount; SKIP_TESTS `make test`
#   DEMO_OPTIONS    for the demo on a slow machine, say "--set training.epochs=1"
#   OMP_NUM_THREADS threads in the containers, where others compute, too
#   PIP_FIND_LINKS  a folder of wheels, PIP_CERT a certificate: given to pip in the build
set -euo pipefail
exec 3>&2 # the terminal, also where a step sends what it says to the log
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
  echo "error: $*" >&3
  exit 1
}

variant=cpu
if [[ "${1:-}" == cpu || "${1:-}" == cuda ]]; then
  variant=$1
  shift
fi
pytest_arguments="$*"
read -r -a demo_options <<< "${DEMO_OPTIONS:-}"

[[ "$(id -u)" == 0 ]] || fail "expected root, found $(id -un); debootstrap and overlays need it"
for tool in buildah podman debootstrap runc; do
  command -v "$tool" > /dev/null || fail "$tool was not found; apt-get install buildah podman debootstrap runc"
done

scratch=${SCRATCH:-$(mktemp --directory --tmpdir skelab-image.XXXXXX)}
mkdir --parents "$scratch"
store=(--root "$scratch/root" --runroot "$scratch/runroot" --storage-driver overlay)
log=$scratch/$variant.log
: > "$log"
measured=()

finish() {
  status=$?
  if [[ $status != 0 ]]; then
    echo "--- the end of the log:" >&3
    tail --lines=40 "$log" >&3
  fi
  if [[ -z "${SCRATCH:-}" ]]; then
    podman "${store[@]}" system reset --force > /dev/null 2>&1 || true
    rm --recursive --force "$scratch"
  fi
  exit "$status"
}
trap finish EXIT

# step WHAT COMMAND...: carries it out, its output in the log, and measures it.
step() {
  local what=$1 since=$EPOCHREALTIME
  shift
  echo "== $what" >&3
  "$@" >> "$log" 2>&1
  measured+=("$what|$(awk -v a="$since" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')")
}

size_of() {
  podman "${store[@]}" image inspect --format '{{.Size}}' "$1" | awk '{ printf "%.2f GB", $1 / 1e9 }'
}

make_base() {
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk 'NR == 1')
  rm --recursive --force "$scratch/rootfs"
  debootstrap --variant=minbase --include=ca-certificates "${DEBIAN:-bookworm}" "$scratch/rootfs" "$mirror"
  tar --directory "$scratch/rootfs" --create . | podman "${store[@]}" import - localhost/base:latest
  rm --recursive --force "$scratch/rootfs"
}

build() {
  local target=$1 arguments=() mounts=()
  if [[ $variant == cpu ]]; then
    arguments+=(--build-arg TORCH_SPEC=torch==2.13.0+cpu --build-arg CONSTRAINTS=constraints.txt)
    arguments+=(--build-arg WITH_APEX=0)
  else
    arguments+=(--build-arg WITH_APEX="${WITH_APEX:-0}")
    for name in BUILD_IMAGE APEX_REPOSITORY APEX_COMMIT APEX_OPTIONS; do
      if [[ -n "${!name:-}" ]]; then arguments+=(--build-arg "$name=${!name}"); fi
    done
  fi
  if [[ -n "${PIP_FIND_LINKS:-}" ]]; then
    mounts+=(--volume "$PIP_FIND_LINKS:/mnt/wheels:ro")
    arguments+=(--build-arg PIP_FIND_LINKS=/mnt/wheels)
  fi
  if [[ -n "${PIP_CERT:-}" ]]; then
    mounts+=(--volume "$PIP_CERT:/mnt/certificates.pem:ro")
    arguments+=(--build-arg PIP_CERT=/mnt/certificates.pem)
  fi
  if [[ -n "${APEX_FOLDER:-}" ]]; then mounts+=(--volume "$APEX_FOLDER:/mnt/apex:ro"); fi
  buildah "${store[@]}" bud --isolation chroot --network host --format docker --layers \
    --build-arg BASE_IMAGE=localhost/base:latest \
    --build-arg VERSION="$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/skelab/_version.py)" \
    --build-arg REVISION="$(git rev-parse HEAD 2> /dev/null || echo unknown)" \
    "${arguments[@]}" "${mounts[@]}" --target "$target" --tag "localhost/skeleton-lab:$variant-$target" .
}

# run IMAGE [OPTION...] -- [WORD...]: one container, without a network.
run() {
  local image=$1 options=()
  shift
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  podman "${store[@]}" --runtime runc run --rm --no-healthcheck --network none \
    ${OMP_NUM_THREADS:+--env OMP_NUM_THREADS} --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 "${options[@]}" "localhost/skeleton-lab:$variant-$image" "$@"
}

check_basics() {
  local image="localhost/skeleton-lab:$variant-runtime" health
  run runtime -- --version | grep --extended-regexp '^skelab [0-9]'
  [[ "$(run runtime --entrypoint id -- -u)" == 1000 ]] || fail "the image runs as root"
  health=$(podman "${store[@]}" image inspect --format '{{json .HealthCheck.Test}}' "$image")
  [[ "$health" == '["CMD","skelab","--version"]' ]] || fail "the health check is $health"
  if run runtime --entrypoint ls -- /opt/repository; then fail "the image holds the repository"; fi
}

run_demo() {
  mkdir --parents "$scratch/work_dir-$variant"
  chmod 1777 "$scratch/work_dir-$variant"
  rm --recursive --force "$scratch/work_dir-$variant/demo"
  run runtime --volume "$scratch/work_dir-$variant:/workspace/work_dir" -- demo "${demo_options[@]}"
  [[ -s "$scratch/work_dir-$variant/demo/run/report.html" ]] || fail "the demo left no report"
}

# The store of the demo as a read-only mount; in 1 MB of shared memory there is room for no worker.
train_from_mount() {
  rm --recursive --force "$scratch/work_dir-$variant/run"
  run runtime --shm-size 1m --volume "$scratch/work_dir-$variant/demo:/workspace/data:ro" \
    --volume "$scratch/work_dir-$variant:/workspace/work_dir" -- \
    train ctrgcn-demo --data /workspace/data/synthetic.arrow --out run --half \
    --set training.epochs=1 --set data.window=16 --set data.workers=2 2>&1 | tee "$scratch/said-$variant.txt"
  tr --squeeze-repeats '\n ' ' ' < "$scratch/said-$variant.txt" | grep "going on with 0 instead of 2 workers"
  run runtime --volume "$scratch/work_dir-$variant/demo:/workspace/data:ro" \
    --volume "$scratch/work_dir-$variant:/workspace/work_dir" -- \
    evaluate run --data /workspace/data/synthetic.arrow
}

make_test() {
  run tests -- make test VENV=/opt/skelab CONSTRAINTS=/opt/skelab/constraints.txt ARGS="$pytest_arguments"
}

if ! podman "${store[@]}" image exists localhost/base:latest; then
  step "base image by debootstrap" make_base
fi
step "build of the image" build runtime
measured+=("size of the image|$(size_of "localhost/skeleton-lab:$variant-runtime")")
measured+=("size of the base|$(size_of localhost/base:latest)")
step "version, user, health check" check_basics
if [[ "${SKIP_DEMO:-0}" == 0 ]]; then
  step "skelab demo${DEMO_OPTIONS:+ $DEMO_OPTIONS}" run_demo
  step "train --half and evaluate, from a read-only mount" train_from_mount
fi
if [[ "${SKIP_TESTS:-0}" == 0 ]]; then
  step "build of the image with the tests" build tests
  step "make test" make_test
  measured+=("tests|$(grep --extended-regexp '^[= ]*[0-9]+ passed' "$log" | tail --lines=1 | tr --delete '=' | xargs)")
fi

echo "$variant image:"
printf '%s\n' "${measured[@]}" | awk -F '|' '{ printf "  %-52s %s\n", $1, $2 }'
