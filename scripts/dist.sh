#!/bin/sh
# Takes a Python with hatchling and a folder; builds the sdist into it, and the wheel from what the sdist holds.
#
# What the sdist lacks, the wheel lacks too, and nobody can miss it. The same commit gives the same bytes: hatchling sets
# every time to that of SOURCE_DATE_EPOCH, or else to one of its own, and takes no mode or owner from the disk.
set -eu
python=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
mkdir -p -- "$2"
out=$(CDPATH='' cd -- "$2" && pwd)
cd "$(dirname -- "$0")/.."

rm -f -- "$out"/broadsheet-*.tar.gz "$out"/broadsheet-*.whl
aside=$(mktemp -d)
trap 'rm -rf -- "$aside"' EXIT
"$python" -m hatchling build -t sdist -d "$out"
tar -xzf "$out"/broadsheet-*.tar.gz -C "$aside"
cd "$aside"/broadsheet-*
"$python" -m hatchling build -t wheel -d "$out"
