#!/bin/sh
# Stands for the flumen binary in the tests of the harness: does what the variable says. A file of
# the tree, because a script that a test writes and starts at once can be "busy" when another
# thread of the test happens to start a process in between.
eval "$STAND_IN"
