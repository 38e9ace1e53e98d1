"""Inner products of sixteen rows of int8 numbers at once, as machine code.

Rows stand as `BoundedRows` has them, so nothing has to be summed across; a step of two coordinates
is one instruction or two where the processor has AVX-512, and a few elsewhere.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from rostra.retrieval.dense.bounded import LANES, STEP

# A turn of the loop takes `STEP` coordinates: so many sums that do not wait for each other.
_SUMS = STEP // 2

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_BYTES = ir.VectorType(ir.IntType(8), 2 * LANES)
_SHORTS = ir.VectorType(_I16, 2 * LANES)
_SUM = ir.VectorType(_I32, LANES)


def has_wide_products() -> bool:
    """Whether code is made for a processor that multiplies 32 pairs of int16 at once."""
    said: str | None = config.CPU_FEATURES
    if said is not None:
        return "+avx512bw" in said
    # Where numba is told to leave AVX alone, LLVM would end the process over such an instruction.
    if not config.ENABLE_AVX:
        return False
    try:
        return bool(binding.get_host_cpu_features().get("avx512bw"))
    except RuntimeError:  # LLVM cannot say; numba takes it for a processor with nothing special
        return False


@intrinsic  # type: ignore[untyped-decorator]
def block_products(
    _context: Any, _codes: Any, _query: Any, _dimensions: Any, _products: Any
) -> tuple[Any, Any]:
    """Writes sixteen products.

    Args:
        codes: address of a block.
        query: address of int16 [dimensions].
        dimensions: a multiple of `STEP`.
        products: address of int32 [16]; products must fit.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        codes, query, dimensions, products = arguments
        nothing = ir.Constant(_SUM, [0] * LANES)
        sums = [cgutils.alloca_once_value(builder, nothing) for _ in range(_SUMS)]
        turns = builder.udiv(dimensions, ir.Constant(_I64, STEP))
        blocks = builder.inttoptr(codes, _BYTES.as_pointer())
        pairs = builder.inttoptr(query, _I32.as_pointer())
        with cgutils.for_range(builder, turns) as loop:
            first = builder.mul(loop.index, ir.Constant(_I64, _SUMS))
            for at, total in enumerate(sums):
                place = builder.add(first, ir.Constant(_I64, at))
                code = builder.load(builder.gep(blocks, [place]))
                code.align = 1
                pair = builder.load(builder.gep(pairs, [place]))
                pair.align = 2
                product = _pair_products(builder, builder.sext(code, _SHORTS), pair)
                builder.store(builder.add(builder.load(total), product), total)
        one, two, three, four = (builder.load(total) for total in sums)
        whole = builder.add(builder.add(one, two), builder.add(three, four))
        builder.store(whole, builder.inttoptr(products, _SUM.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.intp, types.uintp), generate


def _pair_products(builder: Any, codes: Any, pair: Any) -> Any:
    """Of every row's two numbers with the query's two, added up."""
    undefined = ir.Constant(_SUM, ir.Undefined)
    single = builder.insert_element(undefined, pair, ir.Constant(_I32, 0))
    lanes = builder.shuffle_vector(single, undefined, ir.Constant(_SUM, [0] * LANES))
    query = builder.bitcast(lanes, _SHORTS)
    if has_wide_products():
        kind = ir.FunctionType(_SUM, [_SHORTS, _SHORTS])
        name = "llvm.x86.avx512.pmaddw.d.512"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, kind, name), [codes, query]
        )
    totals = []
    for first in (0, 1):
        chosen = ir.Constant(_SUM, list(range(first, 2 * LANES, 2)))
        halves = [
            builder.sext(
                builder.shuffle_vector(side, ir.Constant(_SHORTS, ir.Undefined), chosen), _SUM
            )
            for side in (codes, query)
        ]
        totals.append(builder.mul(*halves))
    return builder.add(*totals)
