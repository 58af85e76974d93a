"""The local contrastive loss of GLoRIA (Huang et al. 2021, section 3.3): each word looks for its regions in an image.

B images, N texts, K of them with words, L words, R regions, D channels.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eclip.losses.gather import gather_rows, is_distributed, row_counts

MOST_AT_ONCE = 2**24  # numbers in the largest tensor; 64 MiB in float32


def word_attention_loss(
    region_BRD: Tensor,
    word_BLD: Tensor,
    mask_BL: Tensor,
    *,
    attention_temperature: float,
    word_temperature: float,
    temperature: float,
) -> Tensor:
    """Symmetric InfoNCE of matching scores: image i belongs to text i.

    ½ · mean_i [ −log softmax_j(Z(v_i, t_j)/τ₃)_i − log softmax_j(Z(v_j, t_i)/τ₃)_i ], with Z of `matching_scores`.
    Pairs whose text has no words are left out. Images and texts that are all alike give log B.

    Across processes every rank matches its own images with the texts of all ranks; the loss is that of all rows,
    computed on every rank: the mean over ranks of the values and of the gradients is that of one process holding all
    rows. Ranks may hold different numbers of rows and words.

    Args:
        region_BRD: Image regions, not normalised.
        word_BLD: Words, not normalised.
        mask_BL: Which of them are words, bool.
        attention_temperature: τ₁.
        word_temperature: τ₂.
        temperature: τ₃.
    """
    counts = None
    if is_distributed():
        counts = row_counts(word_BLD)
        word_BLD, mask_BL = _texts_of_all_ranks(word_BLD, mask_BL, counts)
    has_words_N = mask_BL.any(1)
    score_BN = matching_scores(
        region_BRD,
        word_BLD[has_words_N],
        mask_BL[has_words_N],
        attention_temperature=attention_temperature,
        word_temperature=word_temperature,
    )
    score_NN = score_BN if counts is None else gather_rows(score_BN, counts)
    logits_KK = score_NN[has_words_N] / temperature
    if not len(logits_KK):
        return logits_KK.sum()
    target_K = torch.arange(len(logits_KK), device=logits_KK.device)
    return (F.cross_entropy(logits_KK, target_K) + F.cross_entropy(logits_KK.T, target_K)) / 2


def matching_scores(
    region_BRD: Tensor,
    word_NLD: Tensor,
    mask_NL: Tensor,
    *,
    attention_temperature: float,
    word_temperature: float,
) -> Tensor:
    """How well each text fits each image, Z (B, N).

    1. s_lr = t_l · v_r for words t_l and regions v_r; s̄ = softmax of s over the words of the text.
    2. a_lr = softmax over regions of s̄_lr/τ₁; c_l = Σ_r a_lr v_r, what a word sees of the image.
    3. Z = log Σ_l exp(cos(c_l, t_l)/τ₂), over the words.

    All pairs at once would need B·N·L·R numbers, 9e9 for a batch of 512 with 100 words and 19 x 19 regions on one of 8
    ranks. Texts are therefore taken in turns of few, and where there is more than one turn it is computed again on
    the way back, so that memory does not grow with their number.

    Args:
        region_BRD: Image regions, not normalised.
        word_NLD: Words, not normalised.
        mask_NL: Which of them are words, bool; at least one in each text.
        attention_temperature: τ₁.
        word_temperature: τ₂.
    """
    images, regions, width = region_BRD.shape
    texts, words = mask_NL.shape
    turn = max(1, MOST_AT_ONCE // max(1, images * words * max(regions, width)))
    columns = []
    for first in range(0, texts, turn):
        given = (region_BRD, word_NLD[first : first + turn], mask_NL[first : first + turn])
        temperatures = (attention_temperature, word_temperature)
        columns.append(
            _scores(*given, *temperatures)
            if turn >= texts
            else checkpoint(_scores, *given, *temperatures, use_reentrant=False, preserve_rng_state=False)
        )
    return torch.cat(columns, 1) if columns else region_BRD.new_zeros(images, 0)


def _scores(
    region_BRD: Tensor,
    word_NLD: Tensor,
    mask_NL: Tensor,
    attention_temperature: float,
    word_temperature: float,
) -> Tensor:
    texts = len(word_NLD)
    similarity_BNLR = (word_NLD.flatten(0, 1) @ region_BRD.mT).unflatten(1, (texts, -1))
    over_words = similarity_BNLR.masked_fill(~mask_NL[:, :, None], -torch.inf).softmax(2)
    attention_BNLR = (over_words / attention_temperature).softmax(3)
    context_BNLD = (attention_BNLR.flatten(1, 2) @ region_BRD).unflatten(1, (texts, -1))
    whole = torch.promote_types(context_BNLD.dtype, torch.float32)  # cosines of half precision are too coarse
    cosine_BNL = F.cosine_similarity(context_BNLD.to(whole), word_NLD.to(whole), dim=3)
    return (cosine_BNL / word_temperature).masked_fill(~mask_NL, -torch.inf).logsumexp(2)


def _texts_of_all_ranks(word_BLD: Tensor, mask_BL: Tensor, counts: list[int]) -> tuple[Tensor, Tensor]:
    """Words and masks of all ranks in rank order, as long as the longest text of any."""
    longest = torch.tensor(mask_BL.shape[1], device=mask_BL.device)
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    packed = torch.cat([word_BLD, mask_BL[..., None].to(word_BLD)], 2)
    packed = F.pad(packed, (0, 0, 0, int(longest) - mask_BL.shape[1]))
    packed_NLE = gather_rows(packed.flatten(1), counts).unflatten(1, (int(longest), -1))
    return packed_NLE[..., :-1], packed_NLE[..., -1] > 0
