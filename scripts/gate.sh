#!/usr/bin/env bash
# The project's own gate: retrieval and quoted answers on the small set in evals/own, against the
# baselines there. Exits with 1 if they got significantly worse. `--renew` writes the baselines anew
# instead; commit them together with the change that explains them.
#
# Embeddings are equal to the bit on one machine, but not on every kind of processor: the gate
# tests for a difference sample by sample, and lets means move by 0.02 whatever the test says.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
rostra=$root/.venv/bin/rostra
own=$root/evals/own
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

# Nothing that is set or was done before may have a say: no setting, no cache, no index.
unset "${!ROSTRA_@}"
export ROSTRA_HOME=$home/data
cd "$home"

"$rostra" eval run retrieval --data "$own" --depth 10 --out "$home/retrieval.jsonl" >/dev/null
"$rostra" eval run rag --data "$own" --system ask --no-cache --out "$home/rag.jsonl" >/dev/null
if [ "${1:-}" = --renew ]; then
    for kind in retrieval rag; do
        "$rostra" eval baseline "$home/$kind.jsonl" "$own/baseline-$kind.jsonl"
    done
    exit
fi
status=0
for kind in retrieval rag; do
    "$rostra" eval gate --baseline "$own/baseline-$kind.jsonl" --tolerance 0.02 \
        "$home/$kind.jsonl" || status=$?
done
exit "$status"
