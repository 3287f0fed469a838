# Sourced by the scripts of examples/, which set `programs`.

# FOLDER OPTIONS...: makes a world, unless the same program made it there before with the same options.
make_world_once() {
  local folder=$1 maker made
  shift
  maker=$(sha256sum <"$programs/world/world_make")
  made="$maker $*"
  [ "$(cat "$folder/made_by" 2>/dev/null)" != "$made" ] || return 0
  "$programs/world/world_make" --out "$folder" "$@"
  echo "$made" >"$folder/made_by"
}
