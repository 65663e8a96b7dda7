"""`kserve-vision` on a cluster: deploy a model with KServe, and say what becomes of it.

::

    commands ─▶ naming, storage, model: is it right ─▶ rendering: the manifests ─┐
        │                                                                        ▼
        └─▶ observed: what the cluster shows ◀────────────────────── rollout.connection ─▶ the API server
                 │
                 └─▶ pods, traffic, waiting: sentences about it ─▶ progress, status
"""
