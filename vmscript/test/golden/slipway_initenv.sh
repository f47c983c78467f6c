# shellcheck shell=bash disable=SC2034
# Defaults of all migrations below this directory. Written once by vmscript; edit it as you like.

# The console program.
SLIPWAY=${SLIPWAY:-slipway}
# How source machines are switched: prompt (you are told to do it) or command (the words of a program and its arguments,
# separated by blanks; on, off, cycle or status is added).
SLIPWAY_POWER_DRIVER=${SLIPWAY_POWER_DRIVER:-prompt}
SLIPWAY_POWER_COMMAND=${SLIPWAY_POWER_COMMAND:-}
# true: disk content goes over the network in the clear (it is verified all the same).
SLIPWAY_NONETENCRYPT=${SLIPWAY_NONETENCRYPT:-false}
# Bridge or network card of the VM host behind new virtual networks; empty: one of its own.
SLIPWAY_VM_NETWORK_INTERFACE=${SLIPWAY_VM_NETWORK_INTERFACE:-}
