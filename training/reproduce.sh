#!/bin/sh
# Trains, calibrates, evaluates and exports a family: training/reproduce.sh DATA FAMILY [CONFIG]
#   DATA    image folder, e.g. data/cifar10
#   FAMILY  where the family goes, e.g. models/mine; the run folder is runs/<the same name>
#   CONFIG  a YAML file; training/configs/cifar10.yaml if left out
# If it was interrupted, it goes on from the last epoch. <CONFIG>-about.yaml beside CONFIG is used for the model card.
set -eu
if [ $# -lt 2 ]; then
  sed -n '2,6s/^# //p' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
data=$1 family=$2 config=${3:-$here/configs/cifar10.yaml}
run=runs/$(basename "$family")
about=${config%.yaml}-about.yaml
sdpoint=$here/.venv/bin/sdpoint
[ -x "$sdpoint" ] || sdpoint=sdpoint # another environment, already active

"$sdpoint" train --config "$config" --data "$data" --run "$run" --resume
"$sdpoint" calibrate --data "$data" --run "$run"
"$sdpoint" evaluate --data "$data" --run "$run"
if [ -f "$about" ]; then
  "$sdpoint" export --data "$data" --run "$run" --out "$family" --about "$about"
else
  "$sdpoint" export --data "$data" --run "$run" --out "$family"
fi
