"""ProbSparse self-attention (Zhou et al. 2021, arXiv 2012.07436, equations 3 and 4 and algorithm 1).

A query whose scores hardly differ attends to everything alike, and its output is close to the mean of the values. So
only the `u = factor * ceil(ln L)` queries furthest from that attend; the others get the mean at once, or, in a decoder,
the sum of the values so far. How far a query is from it is measured on as many keys, drawn at random with replacement:
the maximum less the mean of its scores with them, as in algorithm 1 (the authors' code divides the sum by L, not u).
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

# The keys that the measure samples outside training: the same in every prediction.
SAMPLE_SEED = 0


def active_count(length: int, factor: int) -> int:
    """`u`: the queries of `length` that attend, and the keys that each is measured on."""
    return max(1, min(length, factor * math.ceil(math.log(length))))


def most_active(q: torch.Tensor, k: torch.Tensor, sampled: torch.Tensor, count: int) -> torch.Tensor:
    """Queries `q [B, heads, L, d]`, keys k -> indices `[B, heads, count]` of the queries of the largest measure.

    Row i of `sampled [L, u]` names the keys that query i is measured on, in every window and head. All scores are
    computed, in one product, and the sampled ones looked up: that is faster than to copy u keys of width d for each
    query, and takes less memory while L < u * d. They are not scaled: that would leave their order.
    """
    scores = (q @ k.transpose(2, 3)).gather(3, sampled.expand(*q.shape[:2], -1, -1))
    measure = scores.amax(dim=3) - scores.mean(dim=3)
    return measure.topk(count, dim=2, sorted=False).indices


class ProbSparse(nn.Module):
    """`q, k, v [B, heads, L, d] -> [B, heads, L, d]` over windows of `length` steps; full attention where u is L."""

    sampled: torch.Tensor

    def __init__(self, length: int, factor: int, *, causal: bool) -> None:
        super().__init__()
        self.causal, self.count = causal, active_count(length, factor)
        self.full = self.count == length
        if not self.full:
            generator = torch.Generator().manual_seed(SAMPLE_SEED)
            sampled = torch.randint(length, (length, self.count), generator=generator)
            self.register_buffer("sampled", sampled, persistent=False)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.full:
            return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        with torch.no_grad():  # a choice has no gradient
            sampled = torch.randint_like(self.sampled, len(self.sampled)) if self.training else self.sampled
            active = most_active(q, k, sampled, self.count)
        rows = active.unsqueeze(3).expand(-1, -1, -1, q.shape[3])
        mask = None
        if self.causal:
            mask = active.unsqueeze(3) >= torch.arange(k.shape[2], device=k.device)
        attended = F.scaled_dot_product_attention(q.gather(2, rows), k, v, attn_mask=mask)
        lazy = v.cumsum(dim=2) if self.causal else v.mean(dim=2, keepdim=True).expand_as(v)
        return lazy.to(attended.dtype).scatter(2, rows, attended)  # autocast sums in float32
