"""`kserve-vision bench`: how many requests a server answers, how fast, and at what cost.

::

    command ─▶ target (pictures, doors): whom and what ─▶ session: windows, by a load generator ─▶ tables, report
"""
