# documentation: renders a section of the handbook to HTML.
# Prompt, on standard input: which section, from 1. Result: the HTML.
set -eu
export LC_ALL=C

read -r section || [ -n "$section" ]
awk -v wanted="$section" '
    function close_block() {
        if (block != "") print "</" block ">"
        block = ""
    }
    function open_block(name) {
        if (block == name) return
        close_block()
        print "<" name ">"
        block = name
    }
    # Escapes first, so that the tags which come after it stay tags; pairs are turned from left to right.
    function inline(text) {
        gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
        while (match(text, /`[^`]*`/)) text = wrapped(text, "code")
        while (match(text, /\*[^*]*\*/)) text = wrapped(text, "em")
        return text
    }
    function wrapped(text, tag) {
        return substr(text, 1, RSTART - 1) "<" tag ">" substr(text, RSTART + 1, RLENGTH - 2) \
            "</" tag ">" substr(text, RSTART + RLENGTH)
    }
    /^## / { close_block(); if (++section == wanted) is_found = 1 }
    section != wanted { next }
    /^## / { print "<h2>" inline(substr($0, 4)) "</h2>"; next }
    /^- / { open_block("ul"); print "<li>" inline(substr($0, 3)) "</li>"; next }
    /^$/ { close_block(); next }
    { open_block("p"); print inline($0) }
    END {
        close_block()
        if (!is_found) { print "there is no section " wanted > "/dev/stderr"; exit 3 }
    }
' handbook.md
