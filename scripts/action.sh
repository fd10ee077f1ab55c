#!/bin/sh
# Takes the inputs of action.yml from the environment; installs Broadsheet aside, checks, and exits as the check does.
#
#   BROADSHEET_PATHS         what to check, one per line or separated by blanks
#   BROADSHEET_SCHEMA        a schema's file, or a table's name
#   BROADSHEET_ROWS          "true" where a .json document is an array of rows
#   BROADSHEET_FORMAT        what to print
#   BROADSHEET_MAX_PROBLEMS  how many problems to print
#   BROADSHEET_REPORT        a file to write a SARIF report to as well
#   BROADSHEET               a command to check with; nothing is installed then
#
# Exit codes: 0 fine, 1 problems found, 2 could not run. No input is ever evaluated: each is one quoted argument.
set -euf

could_not_run() {
  echo "::error title=Broadsheet could not run::$1"
  exit 2
}

# The arguments are collected in "$@", the only list that sh has; `set -f` above keeps patterns as they are until wanted.
set -- "--max-problems=${BROADSHEET_MAX_PROBLEMS:-100}"
[ -z "${BROADSHEET_SCHEMA:-}" ] || set -- "$@" "--schema=$BROADSHEET_SCHEMA"
case ${BROADSHEET_ROWS:-false} in
  true) set -- "$@" --rows ;;
  false) ;;
  *) could_not_run "The input 'rows' is either 'true' or 'false'." ;;
esac
set -- "$@" --

# A line that names something as a whole is one path. Any other is split at blanks, and patterns in it are expanded;
# a word that names nothing and matches nothing stays, for the check to tell.
options=$#
while read -r line || [ -n "$line" ]; do
  if [ -e "$line" ]; then
    set -- "$@" "$line"
    continue
  fi
  for word in $line; do
    [ -e "$word" ] || set +f
    IFS=
    # shellcheck disable=SC2086 # the word is not split, as IFS is empty; a pattern in it is expanded
    set -- "$@" $word
    unset IFS
    set -f
  done
done <<PATHS
${BROADSHEET_PATHS:-}
PATHS
[ $# -gt "$options" ] || could_not_run "The input 'paths' names nothing to check."

broadsheet=${BROADSHEET:-}
if [ -z "$broadsheet" ]; then
  root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
  aside=$(mktemp -d "${RUNNER_TEMP:-/tmp}/broadsheet.XXXXXX") || could_not_run "There is no place for the installation."
  trap 'rm -rf -- "$aside"' EXIT
  # -I: no module of the folder that is checked is imported.
  python3 -I -m venv "$aside/venv" || could_not_run "The virtual environment cannot be made."
  "$aside/venv/bin/pip" install --quiet --disable-pip-version-check "$root" \
    || could_not_run "The installation failed; see above for the reason."
  broadsheet=$aside/venv/bin/broadsheet
fi
command -v "$broadsheet" >/dev/null || could_not_run "The command that BROADSHEET names is not there."

report=${BROADSHEET_REPORT:-}
if [ -n "$report" ]; then
  mkdir -p -- "$(dirname -- "$report")" || could_not_run "The folder of the report cannot be made."
  true >"$report" || could_not_run "The report cannot be written."
fi

code=0
"$broadsheet" check "--format=${BROADSHEET_FORMAT:-github}" "$@" </dev/null || code=$?

# A check that cannot even begin says so and writes nothing: an empty file is no report.
if [ -n "$report" ]; then
  "$broadsheet" check --format=sarif "$@" </dev/null >"$report" 2>/dev/null || true
  if [ ! -s "$report" ]; then
    rm -f -- "$report"
    [ "$code" -ne 0 ] || could_not_run "The report cannot be written."
  fi
fi
exit "$code"
