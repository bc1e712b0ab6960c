"""What of this process's environment says where packages come from, and by which way."""

from __future__ import annotations

import os

_OF_INSTALLERS = ("PIP_", "UV_", "NPM_CONFIG_", "npm_config_", "XDG_", "LC_")
_OF_NETWORKS = {
    "ALL_PROXY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "NETRC",
    "NODE_AUTH_TOKEN",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "NPM_TOKEN",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
}
# These would keep pip from doing what it is asked here.
_STEERS_PIP = {
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_DRY_RUN",
    "PIP_REPORT",
    "PIP_PYTHON",
    "PIP_DEST",
    "PIP_REQUIREMENT",
}


def installer_environment() -> dict[str, str]:
    """Return what the user's settings of pip and npm are found by; what fetches sees less."""
    return {
        name: value
        for name, value in os.environ.items()
        if (name.upper() in _OF_NETWORKS or name.startswith(_OF_INSTALLERS)) and name not in _STEERS_PIP
    }
