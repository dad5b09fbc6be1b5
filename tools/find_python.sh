#!/bin/sh
# Prints the first of the commands in its arguments that is Python 3.11 or later and can make environments.
for python in "$@"; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$python"
        exit
    fi
done
echo "no Python 3.11 or later that can make environments was found among: $*; install one (Debian also needs" \
    "python3-venv), or name it: make PYTHON=/path/to/python3" >&2
exit 1
