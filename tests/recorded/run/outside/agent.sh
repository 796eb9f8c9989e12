
name=$MILESTONE_ITEM
[ "$MILESTONE_KIND" = work ] || name=$MILESTONE_ITEM-$MILESTONE_KIND
echo "$name $MILESTONE_ATTEMPT" >> "$OUT/starts"
exec 9> "$OUT/alive-$MILESTONE_ITEM"
flock -n 9 || echo "$MILESTONE_ITEM" >> "$OUT/overlaps"
commit() { git add -A && git commit -qm "$1"; }
report() { printf 'STATUS: %s\nNOTES: notes of %s\n' "$1" "$MILESTONE_ITEM"; }
work() { echo "work on $MILESTONE_ITEM" > "item-$MILESTONE_ITEM.txt"; commit "fix: work on $MILESTONE_ITEM"; }
if [ -f "$OUT/do-$name" ]; then . "$OUT/do-$name"; else work && report COMPLETE; fi
