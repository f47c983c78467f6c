# SPDX-License-Identifier: GPL-3.0-or-later
# Bash completion for slipway, gatherhw, gatherhw-import, vmscript and vmpatch. It asks the program (--help), so it knows what the program
# knows.
# shellcheck shell=bash

# One line for each entry of a help text on stdin: KIND WORD and what is said of it. KIND: command, option, argument.
_slipway_entries() {
    awk '
        function flush() { if (entry != "") print entry; entry = "" }
        /^Subcommands:/ { flush(); kind = "command"; next }
        /^Positionals:/ { flush(); kind = "argument"; next }
        /^(Options|Switches.*):/ { flush(); kind = "option"; next }
        # A group of options has a heading of its own; examples and exit codes have no entries that begin with a dash.
        /^[A-Z][^:]*:$/ { flush(); kind = "group"; next }
        /^[^ ]/ { flush(); kind = ""; next }
        kind == "group" && /^  -/ { kind = "option" }
        kind == "group" { next }
        kind == "" { next }
        /^  [^ ]/ { flush(); sub(/^  (-[a-z], ?)?/, ""); entry = kind " " $0; next }
        /^ +[^ ]/ { if (entry != "") { sub(/^ +/, ""); entry = entry "  " $0 } }
        END { flush() }'
}

# _slipway_ask PROGRAM [COMMAND…]: the entries; with those of another program whose switches are taken too.
_slipway_ask() {
    local help other
    help=$("$@" --help 2>/dev/null)
    _slipway_entries <<<"$help"
    other=$(sed -n 's/.*; see \([a-z-]*\) --help.*/\1/p' <<<"$help")
    [ -z "$other" ] || "$other" --help 2>/dev/null | _slipway_entries | grep '^option '
}

# The entry of option $1 among $2; fails when it has no value.
_slipway_value_of() {
    local line
    line=$(grep -m 1 -E "^option $1([ =]|$)" <<<"$2") || return 1
    [[ $line =~ ^option\ [a-z0-9-]+(\ [A-Z]|=) ]] && printf '%s\n' "$line"
}

# Completes $cur as a value of the entry $1: one of a set, or a file where the help speaks of one.
_slipway_values() {
    local set='^[a-z]+ [^ ]+ [A-Z]+:\{([^}]*)\}' number='^[a-z]+ [^ ]+ (INT|UINT|FLOAT)'
    if [[ $1 =~ $set ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${BASH_REMATCH[1]//,/ }" -- "$cur")
    elif [[ ! $1 =~ $number && $1 =~ [Ff]ile|FILE|[Dd]irector|DIRECTORY|certificate|STATE/|program ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

_slipway() {
    local program=$1 cur=${COMP_WORDS[COMP_CWORD]} words=() word i path=() entries entry given=0 option=''
    program=${program/#\~/$HOME}
    COMPREPLY=()
    # Bash splits at "=": --kind=x is the words --kind, = and x.
    for ((i = 1; i < COMP_CWORD; i++)); do [ "${COMP_WORDS[i]}" = = ] || words+=("${COMP_WORDS[i]}"); done
    [ "$cur" != = ] || cur=''

    entries=$(_slipway_ask "$program")
    for word in "${words[@]}"; do
        if [ -n "$option" ]; then
            option=''
        elif [[ $word == -* ]]; then
            option=$(_slipway_value_of "$word" "$entries")
        elif grep -q "^command $word " <<<"$entries"; then
            path+=("$word")
            entries=$(_slipway_ask "$program" "${path[@]}")
        else
            given=$((given + 1))
        fi
    done

    if [ -n "$option" ]; then
        _slipway_values "$option"
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^option (--[a-z0-9-]+).*/\1/p' <<<"$entries")" -- "$cur")
    elif grep -q '^command ' <<<"$entries"; then
        mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^command ([a-z0-9-]+).*/\1/p' <<<"$entries")" -- "$cur")
    else
        entry=$(grep '^argument ' <<<"$entries" | sed -n "$((given + 1))p")
        [ -z "$entry" ] || _slipway_values "$entry"
    fi
}

complete -F _slipway slipway gatherhw gatherhw-import vmscript vmpatch
