"""What moves from one environment to the next, and back.

In: a repository with environments and the evidence on its commits. Out: commits that promote or revert, and what stands
where. Applies nothing to a cluster.
"""
