"""The same picture again: what the model said of it is kept for a while, and one that is being worked on is not begun.

What is kept is not an answer but what answers are made of: the decoder's outputs, and where the picture lay in the
model's input. So one entry serves every option (`top_k`, thresholds, forms of masks), and is as small as the model's
own map where an answer has the pixels of the original.

::

    pictures ─ contents_of ─▶ SHA-256 ─ Sharing ─┬─ SeenCache: another has asked before
                                                 ├─ Run: another is asking now
                                                 └─ a Run of its own

Both are off by default: few callers send the same bytes twice, and the others would pay for the digest (0.1 ms of a
core for a picture of 200 KB) and for a task of its own.
"""

from transformer.reuse.cache import Scope, SeenCache
from transformer.reuse.content import contents_of, is_quick
from transformer.reuse.metrics import ReuseMetrics
from transformer.reuse.reuse import Reuse
from transformer.reuse.run import INDEX
from transformer.reuse.seen import Seen
from transformer.reuse.sharing import Sharing

__all__ = ["INDEX", "Reuse", "ReuseMetrics", "Scope", "Seen", "SeenCache", "Sharing", "contents_of", "is_quick"]
