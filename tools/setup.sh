# Sourced by the other tools: makes sure that this machine has what voicebot needs.
#
#   setup          the program: system packages, .venv, Python packages
#   setup dev      the same and what its tests need
#
# It says what it installs, and does nothing at all when nothing has changed since the last time.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"

# The version that voicebot is tested with. Any torch from 2.6 on serves: to keep another build (one
# without CUDA, say), install it into .venv before the first start, or name it here.
torch=${TORCH_REQUIREMENT:-torch==2.13.0}

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "voicebot: $*"
    exit 1
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

# Installs Debian packages if this user may; otherwise says which are missing, and fails.
install_system_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            as_root=(sudo)
        else
            say "These system packages are missing and need an administrator: $*"
            say "    apt-get install $*"
            return 1
        fi
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        say "These packages are missing (Debian's names); install them with your system's tool: $*"
        return 1
    fi
    say "Installing system packages: $*"
    "${as_root[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "$@" >/dev/null
}

make_environment() {
    local python
    python=$(find_python)
    if [ -z "$python" ]; then
        install_system_packages python3 python3-venv || fail "Python 3.11 or newer is needed"
        python=$(find_python)
        [ -n "$python" ] || fail "Python 3.11 or newer is needed, and this system's is older"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_system_packages python3-venv || fail "Python's venv module is needed"
    fi
    say "Making the environment $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

# PortAudio is for the sound card only: without it, everything that plays recordings still works.
ensure_portaudio() {
    [ "$(uname -s)" = Linux ] || return 0
    if command -v ldconfig >/dev/null 2>&1 || [ -x /sbin/ldconfig ]; then
        PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q libportaudio.so.2 && return 0
    fi
    install_system_packages libportaudio2 ||
        say "Going on without PortAudio: no microphone or loudspeaker until it is installed."
}

# What some tests try the program against. Without it they are skipped, and say so.
ensure_test_tools() {
    [ "$(uname -s)" = Linux ] || return 0
    local missing=()
    command -v pulseaudio >/dev/null 2>&1 && command -v pactl >/dev/null 2>&1 ||
        missing+=(pulseaudio pulseaudio-utils libasound2-plugins)
    PATH="$PATH:/usr/sbin" command -v mosquitto >/dev/null 2>&1 || missing+=(mosquitto)
    command -v chromium >/dev/null 2>&1 || missing+=(chromium)
    [ ${#missing[@]} -eq 0 ] || install_system_packages "${missing[@]}" ||
        say "Going on without them: the tests that need them are skipped."
}

setup() {
    local extra=${1:-} stamp wanted
    stamp="$venv/.voicebot-${extra:-run}"
    wanted=$(cat "$root/pyproject.toml" "$root/tools/setup.sh" | cksum; echo "$torch")
    if [ -x "$venv/bin/voicebot" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    "$venv/bin/python" -c 'import pip' 2>/dev/null || make_environment
    ensure_portaudio
    [ "$extra" != dev ] || ensure_test_tools
    say "Installing Python packages into $venv (the first time this takes a minute or two)"
    local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
        "${pip[@]}" "$torch" 2> >(grep -v '^WARNING: Location' >&2) ||
            fail "torch cannot be installed; is there a network?"
    fi
    "${pip[@]}" -e "$root${extra:+[$extra]}" 2> >(grep -v '^WARNING: Location' >&2) ||
        fail "the Python packages cannot be installed; is there a network, and room on the disk?"
    echo "$wanted" >"$stamp"
}
