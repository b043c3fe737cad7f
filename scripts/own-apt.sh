# Sourced by the scripts that fetch Debian packages of another suite: an apt with lists, status and cache of its own, so
# that nothing of the machine's apt changes. The mirrors are those that the machine's apt uses, and apt checks what it
# gets: the archive's signature by the machine's Debian keyring, each package by the signed lists' checksum.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# mirrors FOLDER: the archives that the machine's own apt is told to read component main from, Debian's (by their path)
# first. This only asks apt for what it would fetch; with lists of our own in FOLDER, as apt tells nothing of a machine
# that has none yet.
mirrors() {
    local lists=$1/lists
    mkdir -p "$lists/partial"
    apt-get update --print-uris -o "Dir::State::lists=$lists" |
        sed -n "s|^'\\(.*/\\)dists/.*/main/binary-.*|\\1|p" |
        awk '!/security/ && !seen[$1]++ { if (/\/debian\/$/) print; else rest = rest $1 "\n" } END { printf "%s", rest }'
    rm -rf "$lists"
}

# own_apt FOLDER deb|deb-src MIRROR SUITE: makes an apt in FOLDER, with nothing installed, and reads the suite's lists.
# Its options are then in the array `own`.
own_apt() {
    local apt=$1
    rm -rf "$apt"
    mkdir -p "$apt/etc/parts" "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/state/status"
    echo "$2 [signed-by=$keyring] $3 $4 main" >"$apt/etc/sources.list"
    own=(-q -q
        -o "Dir::Etc::sourcelist=$apt/etc/sources.list" -o "Dir::Etc::sourceparts=$apt/etc/parts"
        -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/state/status" -o "Dir::Cache=$apt/cache"
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 -o Debug::NoLocking=1
        -o APT::Get::List-Cleanup=false -o "Acquire::IndexTargets::deb-src::Contents-dsc::DefaultEnabled=false")
    apt-get "${own[@]}" --error-on=any update >&2
}
