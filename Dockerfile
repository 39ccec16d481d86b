# Skeleton Action Lab in one image. Two variants differ in arguments only; the Makefile and
# compose.yaml have both sets:
#
#   cuda  what stands here: PyTorch 2.3.1 with CUDA 12.1, and NVIDIA Apex built from source
#   cpu   TORCH_SPEC=torch==2.13.0+cpu CONSTRAINTS=constraints.txt WITH_APEX=0
#
#   BASE_IMAGE   Debian 12 or what else has Python 3.11 as its python3
#   BUILD_IMAGE  builds Apex only: nvcc of the CUDA that torch was built with, Ubuntu 22.04
#   TORCH_SPEC   torch, as pip is told
#   CONSTRAINTS  the file with the exact versions of everything else
#   WITH_APEX    1 or 0
#   APEX_REF     release of Apex; APEX_COMMIT is what that tag must lead to
ARG BASE_IMAGE=docker.io/library/debian:bookworm-20250721-slim@sha256:2424c1850714a4d94666ec928e24d86de958646737b1d113f5b2207be44d37d8
ARG BUILD_IMAGE=docker.io/nvidia/cuda:12.1.1-devel-ubuntu22.04@sha256:7012e535a47883527d402da998384c30b936140c05e2537158c80b8143ee7425
ARG WITH_APEX=1

# --- python: what all other stages but Apex's stand on -------------------------------------------

# hadolint ignore=DL3006
FROM ${BASE_IMAGE} AS python
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV LANG=C.UTF-8 \
    PATH=/opt/skelab/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_INPUT=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1
# Debian keeps only the newest version of a package: the digest of the base is what is pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv tini \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/skelab \
    && useradd --uid 1000 --create-home --shell /bin/bash lab \
    && install --directory --mode=1777 /workspace /workspace/data /workspace/work_dir

# --- libraries: torch first, since it is largest and changes least -------------------------------

FROM python AS libraries
# These act while the image is built and only then: where else pip looks, and whom it trusts.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
# A cache that is mounted is no part of the image, which the rule DL3042 cannot see.
ARG PIP_CACHE_DIR=/var/cache/pip
ARG TORCH_SPEC=torch==2.3.1
ARG CONSTRAINTS=constraints-oldest.txt
COPY ${CONSTRAINTS} /opt/skelab/constraints.txt
# The constraints keep numpy below 2 for a torch that was built before it.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --constraint /opt/skelab/constraints.txt "${TORCH_SPEC}" numpy
COPY pyproject.toml /opt/skelab/pyproject.toml
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    python -c 'import tomllib; print(*tomllib.load(open("/opt/skelab/pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > /tmp/requirements.txt \
    && pip install --constraint /opt/skelab/constraints.txt --requirement /tmp/requirements.txt \
    && rm /tmp/requirements.txt

# --- wheel: skelab itself, with its compiled kernels ---------------------------------------------

FROM python AS wheel
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
ARG PIP_CACHE_DIR=/var/cache/pip
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY pyproject.toml setup.py README.md LICENSE ./
COPY src src
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip wheel --no-deps --wheel-dir /wheels . \
    && pip install --no-index --no-deps --no-cache-dir --prefix /install /wheels/*.whl

# --- apex: nothing, or NVIDIA Apex with its C++ and CUDA extensions ------------------------------

FROM python AS apex-0
RUN mkdir /install

# hadolint ignore=DL3006
FROM ${BUILD_IMAGE} AS apex-1
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
ARG PIP_CACHE_DIR=/var/cache/pip
ENV DEBIAN_FRONTEND=noninteractive \
    PATH=/opt/apex/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
      ca-certificates g++ git python3.11 python3.11-dev python3.11-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3.11 -m venv /opt/apex
ARG TORCH_SPEC=torch==2.3.1
ARG CONSTRAINTS=constraints-oldest.txt
COPY ${CONSTRAINTS} /tmp/constraints.txt
# setuptools and wheel are of the time of torch 2.3; pip is the first that passes several options on.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip install pip==23.1 setuptools==69.5.1 wheel==0.43.0 ninja==1.11.1.1 \
    && grep --invert-match '^setuptools==' /tmp/constraints.txt > /tmp/torch-constraints.txt \
    && pip install --constraint /tmp/torch-constraints.txt "${TORCH_SPEC}" numpy packaging
ARG APEX_REPOSITORY=https://github.com/NVIDIA/apex.git
ARG APEX_REF=24.04.01
ARG APEX_COMMIT=4138d31ff0acf4071d1dc001ccb7cd6e00800324
RUN git clone --depth 1 --branch "${APEX_REF}" "${APEX_REPOSITORY}" /opt/apex-source \
    && test "$(git -C /opt/apex-source rev-parse HEAD)" = "${APEX_COMMIT}"
WORKDIR /opt/apex-source
# Turing, Ampere, Ada, Hopper. One job needs about 4 GB of memory.
ARG TORCH_CUDA_ARCH_LIST="7.5;8.0;8.6;8.9;9.0"
ARG MAX_JOBS=4
ARG APEX_OPTIONS="--config-settings=--build-option=--cpp_ext --config-settings=--build-option=--cuda_ext"
# hadolint ignore=SC2086
RUN pip wheel --verbose --use-pep517 --no-build-isolation --no-deps --wheel-dir /wheels ${APEX_OPTIONS} . \
    && pip install --no-index --no-deps --no-cache-dir --prefix /install /wheels/*.whl

# hadolint ignore=DL3006
FROM apex-${WITH_APEX} AS apex

# --- tests: the same libraries with the developers' tools and the whole repository ---------------

FROM libraries AS tests
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
ARG PIP_CACHE_DIR=/var/cache/pip
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git make procps python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/repository
COPY . .
RUN --mount=type=cache,target=/var/cache/pip \
    touch /opt/skelab/.made \
    && make setup VENV=/opt/skelab CONSTRAINTS=/opt/skelab/constraints.txt \
    && chown --recursive lab: /opt/repository
USER 1000:1000
ENTRYPOINT ["tini", "--"]
CMD ["make", "test", "VENV=/opt/skelab", "CONSTRAINTS=/opt/skelab/constraints.txt"]

# --- runtime: the image --------------------------------------------------------------------------

FROM libraries AS runtime
COPY --from=apex /install/ /opt/skelab/
COPY --from=wheel /install/ /opt/skelab/
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Skeleton Action Lab" \
      org.opencontainers.image.description="A reproducible lab for action recognition from human skeletons" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Skeleton Action Lab authors" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Also where --user gives an id that has no home: what libraries keep for later goes to /tmp.
ENV HF_HUB_OFFLINE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache
USER 1000:1000
WORKDIR /workspace/work_dir
VOLUME ["/workspace/data", "/workspace/work_dir"]
HEALTHCHECK --interval=5m --timeout=1m --start-period=1m CMD ["skelab", "--version"]
ENTRYPOINT ["tini", "--", "skelab"]
CMD ["--help"]
