#!/bin/bash
# Runs a command in an unpacked image as a container would: root file system read-only, numeric user, first process of
# its own. Usage: image-run.sh ROOT POLICIES|- COMMAND...
exec unshare --mount --pid --fork --kill-child bash -ec '
root=$0 policies=$1
shift
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount -t proc proc "$root/proc"
if [ "$policies" != - ]; then
  mount --bind "$policies" "$root/policies"
  mount -o remount,ro,bind "$root/policies"
fi
cd "$root"
exec chroot --userspec=65532:65532 --groups= "$root" env -i -C /app PATH=/usr/local/bin:/usr/bin:/bin "$@"
' "$@"
