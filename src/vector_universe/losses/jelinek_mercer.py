"""n-gram prediction with Jelinek–Mercer smoothing: the loss of Visual N-Grams."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ABSENT, UNSEEN_CONTEXT = -1, -2


def jelinek_mercer(logits_BD: Tensor, contexts_D: Tensor, ngrams_BPN: Tensor, smoothing: float) -> Tensor:
    """What the words of each row cost, the mean over them, (B,), in nats; 0 for a row without words.

    With the n-gram that ends in word i and its context h, the words before (Li et al. 2017, section 3):

        loss         = -1/P Σ_i log p(i | h)
        p(i | h)     = λ p_obs(i | h) + (1 - λ) p(i | h without its first word)
        p(i | no h)  = p_obs(i | no h)
        p_obs(i | h) = exp(z_hi) / Σ_{j: hj in the dictionary} exp(z_hj),   0 if hi is not in the dictionary

    Where no n-gram of the dictionary begins with h, p(i | h) is p(i | h without its first word). So the probabilities
    of all words after any context add up to 1. The paper sums over the words of a text; by the mean, long and short
    texts count alike.

    Args:
        logits_BD: z, one for each n-gram of the dictionary, of 1 to N words.
        contexts_D: int64, the number of each n-gram's context, at most D: equal for n-grams with equal contexts.
        ngrams_BPN: int64, for each word of each row the n-grams of 1 to N words that end there, by their place in the
            dictionary: `ABSENT` if it is not there but others with its context are, else `UNSEEN_CONTEXT`. The latter
            throughout stands for no word.
        smoothing: λ, between 0 and 1; the paper's is 0.2.
    """
    observed_BD = log_observed(logits_BD, contexts_D)
    observed_BPN = observed_BD.gather(1, ngrams_BPN.clamp(min=0).flatten(1)).view(ngrams_BPN.shape)
    words_B = (ngrams_BPN[:, :, 0] >= 0).sum(dim=1)
    return -interpolate(observed_BPN, ngrams_BPN, smoothing).sum(dim=1) / words_B.clamp(min=1)


def log_observed(logits_BD: Tensor, contexts_D: Tensor) -> Tensor:
    """log p_obs of every n-gram of the dictionary: a log-softmax over each set of n-grams with one context."""
    # n-grams first: rows of B numbers are added and compared three times faster than columns of them.
    logits_DB = logits_BD.to(torch.promote_types(logits_BD.dtype, torch.float32)).T.contiguous()
    size, rows = logits_DB.shape
    highest = logits_DB.new_zeros(size + 1, rows).scatter_reduce(
        0, contexts_D[:, None].expand(-1, rows), logits_DB.detach(), "amax", include_self=False)
    shifted_DB = logits_DB - highest.index_select(0, contexts_D)
    sums = logits_DB.new_zeros(size + 1, rows).index_add(0, contexts_D, shifted_DB.exp())
    return (shifted_DB - sums.index_select(0, contexts_D).log()).T


def interpolate(observed_BPN: Tensor, ngrams_BPN: Tensor, smoothing: float) -> Tensor:
    """log p of each word of each row by the recursion, unrolled over the orders n: (B, P); 0 where there is no word.

        p = Σ_n w_n p_obs,n   with w_n = λ (1 - λ)^(m - n), w_1 = (1 - λ)^(m - 1), m the longest order with a context

    Args:
        observed_BPN: log p_obs of each n-gram; what stands for those that are absent does not matter.
        ngrams_BPN, smoothing: as in `jelinek_mercer`; B may be 1 in `ngrams_BPN`.
    """
    orders_N = torch.arange(1, ngrams_BPN.shape[2] + 1, device=ngrams_BPN.device)
    longer_BPN = ((ngrams_BPN != UNSEEN_CONTEXT).sum(dim=2, keepdim=True) - orders_N).to(observed_BPN.dtype)
    weights_BPN = longer_BPN * math.log1p(-smoothing) + (orders_N > 1).to(longer_BPN) * math.log(smoothing)
    terms_BPN = torch.where(ngrams_BPN >= 0, observed_BPN + weights_BPN, -torch.inf)
    word_BP1 = ngrams_BPN[:, :, :1] >= 0
    # Where there is no word all terms would be -inf, which has no gradient.
    return torch.where(word_BP1, terms_BPN, 0.0).logsumexp(dim=2) * word_BP1[:, :, 0]
