# Two images from one file, `cpu` (the last stage, so the default) and `cuda`:
#   docker build -t dimmer .
#   docker build -t dimmer:cuda --target cuda .          see docs/gpu.md
# The root file system may be read-only and the container needs no capability:
#   docker run --read-only --tmpfs /var/cache/dimmer:uid=1000,mode=0700 --cap-drop ALL -p 8080:8080 dimmer
# Debian, not Alpine: onnxruntime's binaries need glibc.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

# What runs, and nothing else: no compiler, no binaries of other platforms, no types, source maps or tests.
# Every package is then loaded once, so that a build fails where a start would.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
# No CUDA libraries, even if a later npm runs install scripts again; the stage `cuda-provider` asks for them.
ENV ONNXRUNTIME_NODE_INSTALL=skip
ENV ORT_DISABLE_TELEMETRY=1
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/typescript node_modules/.bin node_modules/*/test node_modules/@*/*/test \
  && find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d \
    ! -path "*/linux/$(node -p process.arch)" -exec rm -rf {} + \
  && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' \) -delete \
  && find node_modules -type d -empty -delete \
  && node --input-type=module -e "import { readFileSync } from 'node:fs'; \
    const { typescript, ...all } = JSON.parse(readFileSync('package.json')).dependencies; \
    for (const name of Object.keys(all)) await import(name);"

# onnxruntime-node's own install script fetches the CUDA provider of its version from api.nuget.org (linux/x64 only;
# elsewhere it fetches nothing and does not complain, hence the copy, which fails then). It is run by hand because
# npm runs no scripts here. It obeys GLOBAL_AGENT_HTTPS_PROXY, not HTTPS_PROXY. The TensorRT provider that comes with
# it stays behind: nothing here uses it.
FROM dependencies AS cuda-provider
RUN ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install.js \
  && mkdir /provider \
  && cd node_modules/onnxruntime-node/bin/napi-v6/linux/x64 \
  && cp libonnxruntime_providers_cuda.so libonnxruntime_providers_shared.so /provider/

FROM node:24-bookworm-slim AS runtime
WORKDIR /app
# CACHE_DIR keeps graphs that were optimised for this host, which all engine threads map into memory, and what was measured
# of it. On a read-only root it wants a tmpfs or, to outlive the container, a volume that user 1000 can write and nobody
# else; without one the service warns, measures again at every start, and each instance has weights of its own in memory.
RUN apt-get update \
  && apt-get install -y --no-install-recommends libjemalloc2 \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
  && install -d -o 1000 -g 1000 /var/cache/dimmer \
  && LD_PRELOAD=libjemalloc.so.2 node -e "process.exit(+!fs.readFileSync('/proc/self/maps', 'utf8').includes('jemalloc'))"
# jemalloc keeps what batches need, and gives back what they no longer do. Its options keep large blocks out of mmap, without
# which it is slower than glibc's, for as long as a busy service needs them again, and no longer (docs/memory.md). The
# variables must be there before the process starts.
ENV LD_PRELOAD=libjemalloc.so.2
ENV MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:2000,muzzy_decay_ms:0,background_thread:true
ENV NODE_ENV=production
ENV ORT_DISABLE_TELEMETRY=1
ENV CACHE_DIR=/var/cache/dimmer
COPY --from=dependencies /app/node_modules node_modules
# What is copied from this folder is what `npm pack --dry-run` lists, but for README.md (test/tree.test.ts).
COPY models models
# The page at /, as it is committed (a test holds that it is what web/ makes), and the pictures that it offers.
COPY web/built web/built
COPY docs/examples docs/examples
# The protocol of GRPC_PORT, which is read at start.
COPY proto proto
COPY package.json LICENSE ./
COPY --from=build /app/dist dist
# The command line (docs/cli.md): docker run --rm dimmer dimmer models. It writes nowhere but to CACHE_DIR.
RUN ln -s /app/dist/cli.js /usr/local/bin/dimmer
# By number, so that Kubernetes can tell that it is not root.
USER 1000:1000
EXPOSE 8080
# The process is alive; whether it is ready is /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "-e", "require('node:http').get({ host: '127.0.0.1', port: process.env.PORT || 8080, path: '/healthz' }, (r) => process.exit(+(r.statusCode !== 200))).on('error', () => process.exit(1))"]
# Drains, for at most DRAIN_TIMEOUT_MS (20 s) and some seconds: let the container stop no sooner (docker stop -t 30).
STOPSIGNAL SIGTERM
# Room for uploads that have become garbage: with the default the event loop spends a tenth of its time collecting them.
# And the event loop collects them alone: V8's helper threads are as patient as networks, and it would wait for them.
CMD ["node", "--enable-source-maps", "--single-threaded-gc", "--initial-old-space-size=128", "dist/main.js"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dimmer" \
  org.opencontainers.image.description="Image classification in which every request says what it may cost" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION"

# Holds the CUDA provider, but neither CUDA nor cuDNN, and a container toolkit brings only the driver (libcuda.so.1).
# libcudart, libcublas, libcublasLt, libcurand, libcufft and cuDNN 9 have to lie in /opt/cuda/lib: mounted there, or
# copied in by an image of your own on top of this one (docs/gpu.md has one).
# NOT VERIFIED, for want of a GPU and of a way to NuGet where this was written: the download itself (only that the
# script asks for the right package and puts its files here), which CUDA that provider wants (its script says 12, the
# Python package of the same version 13; ldd tells), and anything run on a GPU. Verified: without the provider, and with
# it but without CUDA, the service ends at start with an error.
FROM runtime AS cuda
COPY --from=cuda-provider /provider node_modules/onnxruntime-node/bin/napi-v6/linux/x64/
ENV EXECUTION_PROVIDER=cuda
ENV LD_LIBRARY_PATH=/opt/cuda/lib
ENV NVIDIA_VISIBLE_DEVICES=all
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM runtime AS cpu
ENV EXECUTION_PROVIDER=cpu
