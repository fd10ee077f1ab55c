#!/bin/sh
# Takes a Python interpreter; makes .venv with the locked dependencies and this package. Called by the Makefile.
set -eu
python=${1:-python3}

command -v "$python" >/dev/null 2>&1 || {
  echo "error: there is no '$python' here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 ..." >&2
  exit 2
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "error: Broadsheet needs Python 3.11 or newer; '$python' is $("$python" --version)." >&2
  echo "       Name another one: make PYTHON=/path/to/python3 ..." >&2
  exit 2
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  echo "error: '$python' cannot make a virtual environment: its modules 'venv' and 'ensurepip' are not installed." >&2
  echo "       On Debian or Ubuntu: apt install python$version-venv" >&2
  echo "       Or name another Python: make PYTHON=/path/to/python3 ..." >&2
  exit 2
}

# A half-made environment is worse than none: start afresh.
rm -rf .venv
"$python" -m venv .venv
PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/pip install --quiet --require-hashes -r requirements.lock
# Everything the build of this package needs is in the lock already, so nothing else is fetched.
PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
