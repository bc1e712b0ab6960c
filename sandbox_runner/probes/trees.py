"""File trees that a program may leave behind, which must be refused as a whole."""

from __future__ import annotations

# name: (code that makes the tree, run in a folder with `out/good`; a part of the reason the host must give)
TREES: dict[str, tuple[str, str]] = {
    "symbolic-link": ("os.symlink('/etc/passwd', 'out/link')", "symbolic link"),
    "link-to-a-folder": ("os.symlink('/etc', 'out/link')", "symbolic link"),
    "dangling-link": ("os.symlink('nowhere', 'out/link')", "symbolic link"),
    "hard-link": ("os.link('out/good', 'out/twin')", "hard link"),
    "fifo": ("os.mkfifo('out/fifo')", "FIFO"),
    "socket": ("s = socket.socket(socket.AF_UNIX); s.bind('out/socket')", "socket"),
    "git-folder": ("os.makedirs('out/.git'); open('out/.git/config', 'w')", "Git"),
    "git-folder-in-disguise": ("os.makedirs('out/.GIT'); open('out/.GIT/config', 'w')", "Git"),
    "git-file": ("open('out/.git', 'w')", "Git"),
    "not-utf-8": ("open(b'out/\\xff\\xfe', 'w')", "not UTF-8"),
    "newline": ("open('out/a\\nb', 'w')", "control"),
    "backslash": ("open('out/a\\\\b', 'w')", "backslash"),
    "not-nfc": ("open('out/u\\u0308', 'w')", "NFC"),
    "invisible": ("open('out/a\\u200bb', 'w')", "invisible"),
    "case-twins": ("open('out/A', 'w'); open('out/a', 'w')", "case"),
    "case-twins-of-folders": (
        "os.makedirs('out/D'); open('out/D/1', 'w'); os.makedirs('out/d'); open('out/d/2', 'w')",
        "case",
    ),
    "setuid": ("open('out/s', 'w'); os.chmod('out/s', 0o4755)", "setuid"),
    "unreadable": ("open('out/s', 'w'); os.chmod('out/s', 0)", "cannot be read"),
    "closed-folder": ("os.makedirs('out/d'); open('out/d/x', 'w'); os.chmod('out/d', 0)", "denied"),
    "sparse-giant": (
        "open('out/s', 'w').truncate(33 << 20); open('out/t', 'w').truncate(33 << 20)",
        "more than",
    ),
    "long-path": (
        "os.chdir('out')\nfor _ in range(30):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('x', 'w')",
        "path longer",
    ),
    "link-chain": ("os.symlink('.', 'out/a'); os.symlink('/'.join(['a'] * 1500), 'out/b')", "symbolic link"),
    "link-and-file-through-it": ("os.symlink('/tmp', 'out/d'); open('out/d/x', 'w')", "symbolic link"),
    "absolute-hard-link": ("os.link('/work/kept', 'out/x'); os.link('out/x', 'out/y')", "hard link"),
    "drive-letter": ("open('out/c:x', 'w')", "colon"),
    "trailing-space": ("open('out/ ', 'w')", "does not exist on every"),
}
