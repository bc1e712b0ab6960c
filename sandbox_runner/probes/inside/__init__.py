"""The programs that run in the sandbox as the untrusted program: standard library only, one file each."""
