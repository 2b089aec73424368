"""Git repositories: read without trusting them, and evidence written into their notes.

In: a repository's address, credentials in files, a branch. Out: the files of one commit, notes on it. Knows nothing of
Kubernetes or of switches; runs no hook, follows no symbolic link, obeys no configuration of the repository.
"""
