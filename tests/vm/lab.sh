# Sourced by the scripts beside it.  Nothing here touches the host's own package
# state: an apt configuration of the lab's own lives in $LAB/apt.
LAB=${LAB:-${SONDE_CACHE:-$HOME/.cache/sonde}/lab}
# bookworm: kernel 6.1, bpftrace 0.17.  trixie: 6.12, 0.23.  Backports, forky, sid: the newest kernel, 0.27.
SUITES=${SUITES:-"bookworm trixie trixie-backports forky sid"}

die() { echo "${0##*/}: $*" >&2; exit 2; }

# The package archive this machine already uses (the first source that looks like
# Debian's main archive), unless MIRROR says otherwise.
lab_mirror() {
  if [ -n "${MIRROR:-}" ]; then echo "$MIRROR"; return; fi
  cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] *)?([^ ]+) .*/\2/p' |
    grep '/debian/*$' | head -1
}

# Write $LAB/apt and fetch the indexes of SUITES, once (again with REFRESH=1).
lab_apt() {
  local a=$LAB/apt m s
  export APT_CONFIG=$a/apt.conf
  if [ -e "$a/ready" ] && [ -z "${REFRESH:-}" ]; then return; fi
  mkdir -p "$a/lists/partial" "$a/cache/archives/partial" "$a/debs"
  m=$(lab_mirror)
  [ -n "$m" ] || die "no Debian archive in this machine's apt sources: set MIRROR to its address"
  : > "$a/status"
  for s in $SUITES; do echo "deb $m $s main"; done > "$a/sources.list"
  cat > "$a/apt.conf" <<CONF
Dir::Etc::SourceList "$a/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$a/lists";
Dir::Cache "$a/cache";
Dir::State::status "$a/status";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User "root";
CONF
  apt-get -q --error-on=any update >&2 || die "cannot fetch the package indexes of: $SUITES"
  touch "$a/ready"
}
