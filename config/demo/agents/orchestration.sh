# orchestration: puts the steps of a plan into rounds; what stands in one round can be done at the same time.
# Prompt, in a file: which plan. Result: one line a round, its steps in alphabetical order.
set -eu
export LC_ALL=C

read -r plan <"$HIVE_PROMPT_FILE" || [ -n "$plan" ]
[ -f "$plan" ] || { echo "there is no $plan" >&2; exit 3; }

awk '
    /^#/ || NF == 0 { next }
    {
        step = $1
        sub(/:$/, "", step)
        round[step] = 1
        for (i = 2; i <= NF; i++) { before[++pairs] = $i; after[pairs] = step }
    }
    END {
        # A step comes a round after the last one that it needs. More turns than steps: they wait for each other.
        for (step in round) steps++
        do {
            moved = 0
            for (i = 1; i <= pairs; i++)
                if (round[after[i]] <= round[before[i]]) { round[after[i]] = round[before[i]] + 1; moved = 1 }
        } while (moved && turns++ < steps)
        if (moved) { print "the steps wait for each other" > "/dev/stderr"; exit 3 }
        for (step in round) print round[step], step
    }
' "$plan" | sort -k1,1n -k2,2 | awk '
    $1 != last { printf "%s%d:", (NR > 1 ? "\n" : ""), $1; last = $1 }
    { printf " %s", $2 }
    END { print "" }
'
