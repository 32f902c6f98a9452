#!/bin/sh
# Runs a program with a seeded fault under a race checker and passes only if the checker reports the
# fault.  A checker that has gone blind (a suppression too wide, a lost annotation) fails here.
#
#	canary.sh tsan|helgrind|memcheck PROGRAM PATTERN
#
# PATTERN is an extended regular expression that the report must contain.  The suppression files are
# those of the stress tests, so that they are tested, too.
set -u
here=$(dirname "$0")
checker=$1
program=$2
pattern=$3

case $checker in
tsan)
	report=$(TSAN_OPTIONS="suppressions=$here/tsan.supp second_deadlock_stack=1 exitcode=66" \
		"$program" 2>&1)
	;;
helgrind | memcheck)
	report=$(valgrind --tool="$checker" --fair-sched=try --error-exitcode=66 \
		--suppressions="$here/helgrind.supp" "$program" 2>&1)
	;;
*)
	echo "canary.sh: no checker $checker" >&2
	exit 2
	;;
esac
if printf '%s\n' "$report" | grep -Eq "$pattern"; then
	echo "$checker reports: $pattern"
	exit 0
fi
printf '%s\n' "$report"
echo "$checker did not report: $pattern"
exit 1
