#!/bin/sh
# submit.sh CPUS MEGABYTES MINUTES NAME SCRIPT
# Submits a script, and prints only the number of its job. Add the account, partition and other
# options of your site here.
set -eu
mkdir -p logs/cluster
exec sbatch --parsable --cpus-per-task="$1" --mem="$2" --time="$3" --job-name="$4" \
  --output="logs/cluster/%x-%j.log" "$5"
