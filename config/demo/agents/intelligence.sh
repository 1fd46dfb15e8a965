# intelligence: finds out what a text is about, as far as counting goes.
# Prompt, on standard input: the file. Result: JSON.
set -eu
export LC_ALL=C

read -r file || [ -n "$file" ]
[ -f "$file" ] || { echo "there is no $file" >&2; exit 3; }

words() { tr -cs 'A-Za-z' '\n' <"$file" | tr 'A-Z' 'a-z' | sed '/^$/d'; }

lines=$(wc -l <"$file")
total=$(words | wc -l)
different=$(words | sort -u | wc -l)
# Among equals the first of the alphabet wins.
often=$(words | sort | uniq -c | sort -k1,1nr -k2,2 | awk 'NR == 1 { print $2 }')
longest=$(words | sort -u | awk 'length($0) > length(best) { best = $0 } END { print best }')
printf '{"file":"%s","lines":%d,"words":%d,"different_words":%d,"most_often":"%s","longest":"%s"}\n' \
    "$file" "$lines" "$total" "$different" "$often" "$longest"
