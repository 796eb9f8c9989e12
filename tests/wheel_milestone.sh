#!/usr/bin/env bash
# wheel_milestone.sh DIR BIN: work a milestone in DIR with the doit of BIN, killed once on its way.
set -euo pipefail
cd "$1"
export PATH="$2:$PATH" GIT_CONFIG_GLOBAL=/dev/null
git init --quiet --initial-branch=main .
git config user.name "A Tester"
git config user.email tester@example.com
echo 'from work_milestone.dodo import *' >dodo.py
mkdir plan
cat >plan/milestone-5-dispatch.yaml <<'Y'
milestone: {number: 5, title: From a wheel}
waves:
  - wave: 1
    items:
      - {title: First file, issue: 1, priority: P0}
      - {title: Second file, issue: 2}
  - wave: 2
    items:
      - {title: Third file, issue: 3, depends_on: [1]}
quality_gates: {pre_merge: ["git show --check --oneline HEAD"], post_merge: ["test -f 1.txt -a -f 2.txt -a -f 3.txt"]}
Y
cat >milestone.yaml <<'Y'
pass_env: [STARTS, RUN_PID]
command: |
  echo started >>"$STARTS"
  # The third one takes the run that waits for it down, once: kill -9, as a crash would.
  if [ "$MILESTONE_ITEM" = 3 ] && [ ! -e "$STARTS.killed" ]; then
    touch "$STARTS.killed"
    kill -9 "$(cat "$RUN_PID")"
  fi
  echo "$MILESTONE_TITLE" >"$MILESTONE_ITEM.txt"
  git add -A
  git commit --quiet -m "feat: add file $MILESTONE_ITEM"
Y
git add -A
git commit --quiet -m "chore: begin"
export STARTS="$PWD/../starts" RUN_PID="$PWD/../pid"

sh -c 'echo $$ >"$RUN_PID"; exec doit milestone n=5' && { echo "the first run was to be killed" >&2; exit 1; }
doit milestone n=5

[ "$(wc -l <"$STARTS")" -eq 3 ] || { echo "a session was started twice" >&2; exit 1; }
[ "$(git rev-list --count --first-parent main)" -eq 2 ] || { echo "main is not one merge further" >&2; exit 1; }
[ "$(git rev-list --count --no-merges main)" -eq 4 ] || { echo "not one commit an item" >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || { git status; exit 1; }
[ "$(git worktree list | wc -l)" -eq 1 ] && [ "$(git branch | wc -l)" -eq 1 ]
doit list n=5 | grep -v '^[RU] \(status\|demo\|skip\|retry\|log\|stop\|recover\|prune\) ' | { ! grep -v '^U '; }
echo "ok: 3 items, one kill, no session started twice"
