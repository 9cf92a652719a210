#!/usr/bin/env bash
# test.sh IMPORT PACKAGE…: the tests of these packages of the project in this folder, which others import as IMPORT.
set -euo pipefail
import=$1
shift
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir -p "$place/src/$import"
cp -r . "$place/src/$import"
cd "$place/src/$import"
# Debian's sources have no modules; the first folder wins.
GO111MODULE=off GOFLAGS= GOPATH=$place:/usr/share/gocode timeout 900 go test -json -count=1 "$@"
