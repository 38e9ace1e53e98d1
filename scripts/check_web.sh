#!/usr/bin/env bash
# Runs the web page's own checks and tests where Node and its packages are there, else says why not.
set -euo pipefail
cd "$(dirname "$0")/../web" 2>/dev/null || { echo "web check skipped: no web folder"; exit 0; }

skip() { echo "web check skipped: $1"; exit 0; }

[ -f package.json ] || skip "no package.json"
command -v npm >/dev/null && command -v node >/dev/null || skip "no npm on the PATH"
node -e 'const [a, b] = process.versions.node.split(".").map(Number);
         process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || skip "Node is older than 20.19"
if [ package-lock.json -nt node_modules/.package-lock.json ]; then # missing, or out of date
    npm ci --silent --no-audit --no-fund || skip "npm could not install what the page needs"
fi
npm run --silent check
npm run --silent --if-present test
