#!/bin/sh
# Installs the agents that come from npm, in the versions that the tests know, into the folder given, or where the
# tests look: ${XDG_CACHE_HOME:-~/.cache}/work-milestone/agents. Takes 860 MB.
set -eu
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/work-milestone/agents}
mkdir -p "$folder"
# Without scripts, so that none runs unseen: the one that is needed puts opencode's binary into place.
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-progress --save-exact \
    @openai/codex@0.169.0 @google/gemini-cli@0.61.0 opencode-ai@1.18.33
node "$folder/node_modules/opencode-ai/postinstall.mjs"
for agent in codex gemini opencode; do
    "$folder/node_modules/.bin/$agent" --version
done
