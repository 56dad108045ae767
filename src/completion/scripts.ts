/** The shells that there is a script for. */
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/*
 * All three ask `tenantctl complete -- <words>` and take its lines as text. Nothing that was typed, and no name of a
 * tenant, is ever run by the shell: no eval, no `compgen -W`, and what is inserted is quoted.
 */

const bash = `# Completion of tenantctl for bash. In ~/.bashrc: source <(tenantctl completion bash)
_tenantctl() {
  local line=\${COMP_LINE:0:COMP_POINT} tab=$'\\t' words word breaks before= value
  COMPREPLY=()
  # bash cuts words at = and : too; the line is cut at blanks only, and nothing in it is expanded.
  IFS=$' \\t\\n' read -d '' -a words <<< "$line"
  [[ $line == *[[:blank:]] && $line != *\\\\[[:blank:]] ]] && words+=('')
  words=("\${words[@]//[\\"\\']/}")
  word=\${words[\${#words[@]}-1]}
  # Only what comes after the last cut is replaced.
  breaks=\${COMP_WORDBREAKS//[[:space:]]/}
  [[ -n $breaks ]] && before=\${word%"\${word##*["$breaks"]}"}
  while IFS= read -r line; do
    case $line in
      :0) compopt -o default 2> /dev/null ;;
      :*) ;;
      *)
        value=\${line%%"$tab"*}
        printf -v value %q "\${value#"$before"}"
        COMPREPLY+=("\${value//\\\\,/,}")
        ;;
    esac
  done < <(tenantctl complete -- "\${words[@]:1}" 2> /dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2> /dev/null
  return 0
}
complete -F _tenantctl tenantctl
`;

const zsh = `#compdef tenantctl
# Completion of tenantctl for zsh. In ~/.zshrc, after compinit: source <(tenantctl completion zsh)
_tenantctl() {
  local line value
  local -a values texts begun begunTexts
  for line in "\${(@f)$(tenantctl complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2> /dev/null)}"; do
    value=\${line%%$'\\t'*}
    case $line in
      :0) [[ $PREFIX == *=* ]] && compset -P '*='; _files; return ;;
      :*|'') ;;
      *=|*=$'\\t'*) begun+=("$value"); begunTexts+=("\${line/$'\\t'/  -- }") ;;
      *) values+=("$value"); texts+=("\${line/$'\\t'/  -- }") ;;
    esac
  done
  (( $#begun )) && compadd -S '' -l -d begunTexts -a begun
  (( $#values )) && compadd -l -d texts -a values
}
if [[ \${funcstack[1]} == _tenantctl ]]; then _tenantctl "$@"; else compdef _tenantctl tenantctl; fi
`;

const fish = `# Completion of tenantctl for fish: tenantctl completion fish > ~/.config/fish/completions/tenantctl.fish
function __tenantctl_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l word (string unescape -- (commandline -ct); or commandline -ct)
    set -l lines (tenantctl complete -- $words "$word" 2> /dev/null)
    set -l last $lines[-1]
    set -e lines[-1]
    if test "$last" = :0
        set -l before (string match -r -- '^.*=' "$word"; or echo)
        set lines $before(__fish_complete_path (string replace -r -- '^.*=' '' "$word"))
    end
    test (count $lines) -gt 0; and printf '%s\\n' $lines
end
complete -c tenantctl -f -a '(__tenantctl_complete)'
`;

/** What a person sources, or puts into a file of the shell. */
export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
