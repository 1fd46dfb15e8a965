#!/usr/bin/env bash
# A worker of Agent Hive in shell, with curl and jq: one assignment at a time, otherwise as worker.py.
# usage: worker.sh [--server URL] [--token-file FILE] [--agent NAME]
set -uo pipefail

server=${HIVE_SERVER:-} token_file=hive-data/admin.token name=worker-sh
while (($# > 1)); do
    case $1 in
        --server) server=$2 ;;
        --token-file) token_file=$2 ;;
        --agent) name=$2 ;;
        *) break ;;
    esac
    shift 2
done
if (($# > 0)); then sed -n '3s/^# //p' "$0" >&2; exit 2; fi
token=$(<"$token_file") || exit 2
if [[ -z $server ]]; then # the data folder, where the token is, says where the hive answers
    server=$(jq -r .url "${token_file%admin.token}server.json" 2>/dev/null) || server=http://127.0.0.1:18080
fi
stopping=false
trap 'stopping=true' TERM INT # bash looks at it when the call under way is over, at most 5 s later

# call METHOD PATH [JSON]: prints the answer. 0: done, 1: busy or away, try again; 2: refused for good.
# The token travels through a pipe, because everybody may read command lines.
call() {
    local answer
    answer=$(curl -sS -m 40 -w '\n%{http_code}' -X "$1" -H @<(printf 'Authorization: Bearer %s' "$token") \
        -H 'Content-Type: application/json' ${3:+--data-binary "$3"} "$server/api/v2$2") || return 1
    printf '%s\n' "${answer%$'\n'*}"
    case ${answer##*$'\n'} in 2*) return 0 ;; 429 | 503) return 1 ;; *) return 2 ;; esac
}

# insist SECONDS METHOD PATH [JSON]: repeats a call that may work later; prints the last answer.
insist() {
    local until=$((SECONDS + $1)) code answer
    shift
    while true; do
        code=0
        answer=$(call "$@") || code=$?
        if ((code != 1 || SECONDS >= until)); then break; fi
        sleep 1
    done
    printf '%s\n' "$answer"
    return "$code"
}

# Heartbeats of one attempt; notes in file $3 when the work should end.
beat() {
    local lease code
    while sleep 2; do
        code=0
        lease=$(call POST "/tasks/$1/heartbeat" "{\"attempt\":$2}") || code=$?
        if ((code == 2)) || [[ $(jq -r .cancel_requested <<<"$lease") == true ]]; then echo canceled >"$3"; fi
    done 2>/dev/null
}

# The work itself: prints the result as JSON, fails when it cannot.
work() {
    local tenths
    tenths=$(jq -r '(.input | objects | .work_ms // 0) / 100 | floor' <<<"$1")
    for ((; ${tenths:-0} > 0; tenths--)); do
        [[ -s $2 ]] && return
        sleep 0.1
    done
    jq -c 'if .kind == "wordcount" then {words: (.input.text | [scan("\\S+")] | length)} else .input end' <<<"$1"
}

agent=$(insist 60 GET '/agents?limit=200' | jq -r --arg name "$name" '.items[] | select(.name == $name).id') || exit 1
if [[ -z $agent ]]; then
    agent=$(insist 60 POST /agents "{\"name\":\"$name\"}" | jq -re .id) || exit 1
fi
echo "working as $agent"
note=$(mktemp)
while ! $stopping; do
    leased=$(call POST "/agents/$agent/lease" "{\"wait_ms\":5000,\"worker_instance\":\"pid-$$\"}")
    case $? in 1) sleep 1 && continue ;; 2) echo "$leased" >&2 && exit 1 ;; esac
    assignment=$(jq -ce '.assignments[0] // empty' <<<"$leased") || continue
    read -r task attempt < <(jq -r '"\(.task_id) \(.attempt)"' <<<"$assignment")
    : >"$note"
    beat "$task" "$attempt" "$note" &
    if result=$(work "$assignment" "$note" 2>&1) && [[ ! -s $note ]]; then
        verb=complete report="{\"attempt\":$attempt,\"result\":$result}"
    else
        verb=fail kind=$(cat "$note")
        report=$(jq -nc --arg kind "${kind:-failed}" --arg message "${result:-ended when asked to}" \
            --argjson attempt "$attempt" '{$attempt, error: {$kind, $message}, retryable: false}')
    fi
    kill "$!" && wait "$!" 2>/dev/null
    echo "$task attempt $attempt: $(insist 30 POST "/tasks/$task/$verb" "$report" | jq -r '.state // .detail')"
done
rm -f "$note"
