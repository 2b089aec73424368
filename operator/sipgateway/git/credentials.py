"""How git proves who we are: files, as a Secret is mounted, made to variables of its environment. No value is shown.

In: folders with files named as Kubernetes names them in Secrets. Out: variables for `Repository`.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from sipgateway.errors import InputError
from sipgateway.git import codes

#: Names of files, as in Secrets of the types basic-auth and ssh-auth.
USERNAME, PASSWORD, KEY, KNOWN_HOSTS, AUTHORITY = "username", "password", "ssh-privatekey", "known_hosts", "ca.crt"

#: Who commits notes, and commits where the user's own configuration names nobody.
NAME, EMAIL = "sipgateway", "sipgateway@localhost"


def environment(folder: Path | None) -> dict[str, str]:
    """Variables for a process that has no user: nothing of a home folder is read.

    Args:
        folder: with `username` and `password` for https (and `ca.crt`), or `ssh-privatekey` and `known_hosts` for ssh.
            None: none.

    Raises:
        InputError: the folder has neither.
    """
    found = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
    }
    if folder is None:
        return found
    key, hosts, password, authority = (folder / name for name in (KEY, KNOWN_HOSTS, PASSWORD, AUTHORITY))
    if key.is_file():
        if not hosts.is_file():
            what = f"{folder} has {KEY} and no {KNOWN_HOSTS}: the server's key cannot be checked."
            raise InputError(codes.BAD_CREDENTIALS.because("", what))
        options = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{hosts}"')
        words = ["ssh", "-F", "/dev/null", "-i", str(key), *(w for o in options for w in ("-o", o))]
        found["GIT_SSH_COMMAND"] = shlex.join(words)
    elif password.is_file():
        # The helper reads the files when git asks: values stand in no argument and in no variable.
        user, secret = shlex.quote(str(folder / USERNAME)), shlex.quote(str(password))
        helper = (
            f'!f() {{ test "$1" = get || exit 0; echo "username=$(cat {user})"; echo "password=$(cat {secret})"; }}; f'
        )
        found |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": helper}
    elif not authority.is_file():
        what = f"{folder} has neither {KEY} nor {PASSWORD}."
        raise InputError(codes.BAD_CREDENTIALS.because("", what))
    if authority.is_file():
        found["GIT_SSL_CAINFO"] = str(authority)
    return found
