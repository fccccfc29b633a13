#!/usr/bin/env bash
# Repeats the measurements of docs/benchmarks.md, one bench after another: about three hours for a family, on a host that
# does nothing else. A bench that fails its goal is reported, and the next one starts. A new family first needs
# bench/reference/<family>.json (training/bench/reference.py). Not included, bench:accuracy and training/bench/preprocessing.py, which need a running
# service, and bench:peers, which needs Python packages of its own.
#
#   bench/all.sh cifar10 data/cifar10          the benches of a family
#   bench/all.sh imagenet1k data/imagenet1k --seeds 20        further options are those of bench:virtual
#   bench/all.sh --service data/photos data/cifar10        the benches that do not depend on a family
set -uo pipefail
cd "$(dirname "$0")/.."
npm run --silent build || exit 1
out=bench/results

bench() { # NAME RESULT ARGUMENTS...
  local name=$1 result=$2
  shift 2
  echo "== bench:$name -> $result"
  npm run --silent "bench:$name" -- "$@" --out "$result" || echo "== bench:$name: exit status $?"
}

if [[ ${1:-} == --service ]]; then
  bench decision $out/decision.json
  bench health $out/health.json
  bench overhead $out/overhead-cifar10.json
  bench tracing $out/tracing-cifar10.json
  bench decode $out/decode.json --photos "${2:?folder of photographs}"
  bench chaos $out/chaos.json --photos "$2" --data "${3:?folder of small pictures}"
  npm run --silent benchmarks
  exit
fi

family=${1:?family} data=${2:?image folder}
shift 2
of=(--family "$family")
bench closed "$out/closed-$family.json" "${of[@]}" --data "$data"
bench table "bench/virtual/tables/$family.json" "${of[@]}"
bench load "$out/load-$family.json" "${of[@]}" --data "$data"
bench soak "$out/soak-$family.json" "${of[@]}" --data "$data"
bench strict "$out/strict-$family.json" "${of[@]}" --data "$data"
if [[ $family == imagenet1k ]]; then
  bench overload "$out/overload-$family-224.json" "${of[@]}" --pictures 224 --data "$data"
  bench overload "$out/overload-$family-12mp.json" "${of[@]}" --pictures 12mp
else
  bench overload "$out/overload-$family.json" "${of[@]}" --pictures cifar --data "$data"
fi
bench virtual "$out/virtual-$family.json" --table "bench/virtual/tables/$family.json" "$@"
npm run --silent benchmarks
