# quality: checks what is shipped: a checksum, and figures that show when somebody was careless.
# Prompt, as the argument: the file. Result: JSON.
set -eu
export LC_ALL=C

file=$1
[ -f "$file" ] || { echo "there is no $file" >&2; exit 3; }

sum=$(sha256sum <"$file")
awk -v file="$file" -v sum="${sum%% *}" '
    length($0) > widest { widest = length($0) }
    /^$/ { blank++ }
    /[ \t]$/ { untidy++ }
    END {
        printf "{\"file\":\"%s\",\"sha256\":\"%s\",\"lines\":%d,\"widest\":%d,\"blank\":%d,\"untidy\":%d}\n",
            file, sum, NR, widest, blank, untidy
    }
' "$file"
