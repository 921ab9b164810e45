"""The operators of PyTorch, grouped by what they do with the values in a network."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text.

    >>> sorted(words("gt lt"))
    ['gt', 'lt']
    """
    return frozenset(text.split())


COMPARISONS = words(
    "eq ne gt ge lt le isnan isinf isfinite isclose logical_and logical_or logical_not "
    "logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not any all isin signbit "
    "nan_to_num equal"
)
MASKS = words(
    "where masked_fill masked_fill_ masked_scatter masked_select lerp index_put index_put_ "
    "_index_put_impl_"
)
INDICES = words(
    "argmax argmin topk sort argsort msort kthvalue median nanmedian mode unique_dim "
    "_unique _unique2 unique_consecutive nonzero searchsorted bucketize histc bincount "
    "multinomial one_hot"
)
# These take positions as an argument.
INDEXED = words(
    "gather index index_select take embedding scatter scatter_ scatter_add scatter_add_ "
    "index_add index_copy index_fill scatter_reduce _unsafe_index"
)
STEPS = words(
    "sign sgn heaviside floor ceil round trunc frac fmod remainder floor_divide hardshrink "
    "threshold fake_quantize_per_tensor_affine quantize_per_tensor "
    "fake_quantize_per_channel_affine"
)
# These return a value to Python.
READS = words("_local_scalar_dense is_nonzero item equal _is_all_true _is_any_true")
# These use only the shape of a tensor.
CONSTANTS = words(
    "zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros "
    "new_ones new_full new_empty new_empty_strided"
)
# These return the same numbers in another shape or place.
VIEWS = words(
    "view _unsafe_view reshape _reshape_alias expand clone copy_ contiguous detach alias t "
    "transpose permute unsqueeze squeeze flatten unflatten as_strided lift_fresh "
    "lift_fresh_copy _to_copy to empty empty_like empty_strided new_empty "
    "new_empty_strided resize_ set_ movedim"
)
# These combine values with numbers.
WITH_NUMBERS = words(
    "add sub rsub mul div pow eq ne gt ge lt le where maximum minimum clamp clamp_min clamp_max "
    "remainder masked_fill"
)
PRODUCTS = words("mm addmm bmm baddbmm matmul linear mv addmv dot einsum")
DISTANCES = words("_cdist_forward _euclidean_dist cdist")
SELECTS = words("select slice narrow")
# These work on each number separately; activations are made of them.
ELEMENTWISE = words(
    "mul add sub rsub div neg exp exp2 expm1 log log1p sigmoid tanh erf clamp clamp_min "
    "clamp_max relu relu6 hardtanh leaky_relu elu silu gelu softplus mish hardswish "
    "hardsigmoid abs sqrt rsqrt square pow reciprocal minimum maximum full_like zeros_like "
    "ones_like scalar_tensor full where gt ge lt le eq ne logical_not logical_and "
    "logical_or bitwise_and bitwise_or bitwise_not masked_fill sign log_sigmoid_forward "
    "_prelu_kernel prelu celu selu sin cos atan"
) | (VIEWS - {"resize_", "set_"})


def base(name: str) -> str:
    """Return the name of an operator without the underscore of the in-place variant.

    >>> base("relu_"), base("_softmax"), base("clamp")
    ('relu', '_softmax', 'clamp')
    """
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name
