"""`kserve-vision canary`: a second version of a model, by hand.

::

    commands ─▶ session: the cluster, the question ─▶ rollout: the steps ─▶ the API server
        │
        ├─▶ comparing: both versions' contracts
        └─▶ report: what is observed
"""
