"""SIMD for numba kernels: 16 float32 lanes as one value, and bfloat16 in memory.

numba has no bfloat16 and vectorises only what LLVM happens to recognise, so the decoder's inner
loops are written on explicit vectors. Each function here is a numba intrinsic of a few
instructions: one on AVX-512, several on narrower CPUs. Addresses are integers, in bytes; nothing is
bounds-checked.

What always holds: a lane's result does not depend on the other lanes, and reductions over lanes
have one fixed order; so the same inputs give the same bits wherever they stand.
"""

import math
import platform
from collections.abc import Callable, Sequence
from inspect import Signature, signature
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 16


class BFloat(ir.Type):  # type: ignore[misc]  # llvmlite has no types
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat)

    def __hash__(self) -> int:
        return hash(BFloat)


F32 = ir.FloatType()
I64 = ir.IntType(64)
I32 = ir.IntType(32)
I16 = ir.IntType(16)
I8 = ir.IntType(8)
F32X16 = ir.VectorType(F32, LANES)
I32X16 = ir.VectorType(I32, LANES)
BF16X16 = ir.VectorType(BFloat(), LANES)
BF16X32 = ir.VectorType(BFloat(), 2 * LANES)


def has_bf16_dot() -> bool:
    """Whether this CPU multiplies pairs of bfloat16 into float32 (AVX512-BF16)."""
    return bool(binding.get_host_cpu_features().get("avx512bf16"))


def has_avx512() -> bool:
    """Whether a vector here is one register."""
    return bool(binding.get_host_cpu_features().get("avx512f"))


# --- Emitting LLVM ------------------------------------------------------------------------------
def splat(builder: ir.IRBuilder, value: ir.Value, vector: ir.VectorType) -> ir.Value:
    """The vector that holds `value` in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    single = builder.insert_element(undefined, value, I32(0))
    lanes = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(single, undefined, lanes)


def every(vector: ir.VectorType, value: float) -> ir.Constant:
    """The constant vector that holds `value` in every lane."""
    return ir.Constant(vector, [value] * vector.count)


def read(builder: ir.IRBuilder, kind: ir.Type, address: ir.Value, align: int) -> ir.Value:
    value = builder.load(builder.inttoptr(address, kind.as_pointer()), typ=kind)
    value.align = align
    return value


def write(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = align


def call(
    builder: ir.IRBuilder, name: str, result: ir.Type, arguments: Sequence[ir.Value]
) -> ir.Value:
    """Calls an LLVM intrinsic."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def fused(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """`a * b + c`, rounded once."""
    return call(builder, "llvm.fma.v16f32", F32X16, [a, b, c])


def bf16_dot(builder: ir.IRBuilder, total: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
    """`total + a[2i] b[2i] + a[2i+1] b[2i+1]` for bfloat16 vectors of 32."""
    return call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", F32X16, [total, a, b])


def even_odd(builder: ir.IRBuilder, pairs: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The even and the odd elements of 32 bfloat16 as float32: a bfloat16 is its upper half."""
    words = builder.bitcast(pairs, I32X16)
    even = builder.shl(words, every(I32X16, 16))
    odd = builder.and_(words, every(I32X16, -65536))
    return builder.bitcast(even, F32X16), builder.bitcast(odd, F32X16)


def bfloat16_bits(value: float) -> int:
    """The upper half of a float32, for values that have no lower half."""
    return int(np.float32(value).view(np.uint32)) >> 16


def read_bf16(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """16 bfloat16 in memory as float32."""
    halves = read(builder, ir.VectorType(I16, LANES), address, 2)
    words = builder.shl(builder.zext(halves, I32X16), every(I32X16, 16))
    return builder.bitcast(words, F32X16)


def prefetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    """Asks for a cache line that will be read; any address is allowed."""
    pointer = builder.inttoptr(address, I8.as_pointer())
    call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, I32(0), I32(3), I32(1)])


# --- Functions that kernels call ----------------------------------------------------------------
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Lets kernels call a function; compiled for each kind of element that it is called with."""
    return cast("Function", numba.njit(function))


def inlined(function: Function) -> Function:
    """Likewise, but copied into its callers, so that its constant arguments stay constants."""
    return cast("Function", numba.njit(inline="always")(function))


# --- Vectors as numba values --------------------------------------------------------------------
class Float32x16(types.Type):  # type: ignore[misc]  # nor has numba
    """numba's type of 16 float32 lanes."""

    def __init__(self) -> None:
        super().__init__(name="Float32x16")


VECTOR = Float32x16()


@register_model(Float32x16)
class _Float32x16Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, F32X16)


Emitter = Callable[..., ir.Value | None]


def _intrinsic(result: types.Type, *arguments: types.Type) -> Callable[[Emitter], Any]:
    """Makes a numba function of `emit(builder, *values)`."""

    def decorate(emit: Emitter) -> Any:
        def typed(_context: Any, *_given: types.Type) -> Any:
            def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
                value = emit(builder, *values)
                return context.get_dummy_value() if value is None else value

            return result(*arguments), generate

        typed.__name__, typed.__doc__ = emit.__name__, emit.__doc__
        # numba reads the number of arguments off the signature.
        typed.__signature__ = Signature(  # type: ignore[attr-defined]
            list(signature(emit).parameters.values())
        )
        return intrinsic(typed)

    return decorate


_INT, _FLOAT, _NONE = types.int64, types.float32, types.void


@_intrinsic(_INT, _INT)
def read_int(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """The int64 at an address."""
    return read(builder, I64, address, 8)


@_intrinsic(_NONE, _INT, _INT)
def write_int(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> None:
    """Stores an int64."""
    write(builder, value, address, 8)


@_intrinsic(_INT, _INT)
def read_int32(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """The int32 at an address."""
    return builder.sext(read(builder, I32, address, 4), I64)


@_intrinsic(_FLOAT, _INT)
def read_float(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """The float32 at an address."""
    return read(builder, F32, address, 4)


@_intrinsic(_NONE, _INT, _FLOAT)
def write_float(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> None:
    """Stores a float32."""
    write(builder, value, address, 4)


@_intrinsic(_NONE, _INT, _INT)
def copy_word(builder: ir.IRBuilder, target: ir.Value, source: ir.Value) -> None:
    """Copies 4 bytes."""
    write(builder, read(builder, I32, source, 2), target, 2)


@_intrinsic(_INT, _INT, _INT)
def fetch_add(builder: ir.IRBuilder, address: ir.Value, amount: ir.Value) -> ir.Value:
    """Adds to a counter that threads share; its value before. Orders what is around it."""
    return builder.atomic_rmw("add", builder.inttoptr(address, I64.as_pointer()), amount, "seq_cst")


@_intrinsic(_INT, _INT)
def read_shared(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """A counter that threads share; what they wrote before they raised it can be read after."""
    pointer = builder.inttoptr(address, I64.as_pointer())
    return builder.load_atomic(pointer, "acquire", 8, typ=I64)


@_intrinsic(_NONE, _INT, _INT)
def call_code(builder: ir.IRBuilder, code: ir.Value, argument: ir.Value) -> None:
    """Calls a C function `void (*)(int64_t)`."""
    kind = ir.FunctionType(ir.VoidType(), [I64])
    builder.call(builder.inttoptr(code, kind.as_pointer()), [argument])


@_intrinsic(_NONE)
def pause(builder: ir.IRBuilder) -> None:
    """Lets the core rest between two looks at what another thread will change."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
    elif machine in ("aarch64", "arm64"):
        call(builder, "llvm.aarch64.hint", ir.VoidType(), [I32(1)])


@_intrinsic(VECTOR, _FLOAT)
def fill(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """One value in every lane."""
    return splat(builder, value, F32X16)


@_intrinsic(VECTOR, VECTOR, VECTOR)
def add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.fadd(a, b)


@_intrinsic(VECTOR, VECTOR, VECTOR)
def subtract(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.fsub(a, b)


@_intrinsic(VECTOR, VECTOR, VECTOR)
def multiply(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.fmul(a, b)


@_intrinsic(VECTOR, VECTOR, VECTOR)
def divide(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.fdiv(a, b)


@_intrinsic(VECTOR, VECTOR, VECTOR, VECTOR)
def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """`a * b + c`, rounded once."""
    return fused(builder, a, b, c)


@_intrinsic(VECTOR, VECTOR, VECTOR)
def larger(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """The larger of each lane; b where one is not a number."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@_intrinsic(VECTOR, VECTOR)
def exponential(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """e to the x to about 2 units in the last place; 0 below -87, inf above 88.7."""
    return emit_exponential(builder, x)


@_intrinsic(VECTOR, VECTOR)
def tanh(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Hyperbolic tangent, absolute error about 1e-7."""
    one, two = every(F32X16, 1.0), every(F32X16, 2.0)
    grown = emit_exponential(builder, builder.fmul(x, two))
    return builder.fsub(one, builder.fdiv(two, builder.fadd(grown, one)))


@_intrinsic(_FLOAT, VECTOR)
def lane_sum(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """The sum of the lanes, halves upon halves."""
    return _fold(builder, x, builder.fadd)


@_intrinsic(_FLOAT, VECTOR)
def lane_max(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """The largest lane; of a NaN nothing is promised."""

    def join(a: ir.Value, b: ir.Value) -> ir.Value:
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    return _fold(builder, x, join)


@_intrinsic(VECTOR, VECTOR, _INT, _INT, _FLOAT)
def keep_lanes(
    builder: ir.IRBuilder, x: ir.Value, first: ir.Value, end: ir.Value, other: ir.Value
) -> ir.Value:
    """Lanes `first` to before `end` of x, `other` in the rest; the bounds may lie outside."""
    lanes = ir.Constant(ir.VectorType(I64, LANES), list(range(LANES)))
    after = builder.icmp_signed(">=", lanes, splat(builder, first, lanes.type))
    before = builder.icmp_signed("<", lanes, splat(builder, end, lanes.type))
    return builder.select(builder.and_(after, before), x, splat(builder, other, F32X16))


@_intrinsic(_FLOAT, VECTOR, _INT)
def lane(builder: ir.IRBuilder, x: ir.Value, index: ir.Value) -> ir.Value:
    """One lane."""
    return builder.extract_element(x, index)


# Element kinds in memory. Their numba types tell them apart, so that a function compiles once for
# each and nothing is decided at run time.
FLOAT32, BFLOAT16 = np.float32(0), np.uint16(0)
Kind = np.float32 | np.uint16


def is_bfloat16(kind: types.Type) -> bool:
    """Which of the two kinds a type stands for."""
    return bool(kind == types.uint16)


@intrinsic  # type: ignore[untyped-decorator]
def size_of(_context: Any, kind: Any) -> Any:
    """Bytes of an element."""

    def generate(_context: Any, _builder: Any, _signature: Any, _values: Any) -> Any:
        return I64(2 if is_bfloat16(kind) else 4)

    return _INT(kind), generate


@intrinsic  # type: ignore[untyped-decorator]
def load(_context: Any, kind: Any, _address: Any) -> Any:
    """Reads 16 elements of a kind as float32."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        if is_bfloat16(kind):
            return read_bf16(builder, values[1])
        return read(builder, F32X16, values[1], 4)

    return VECTOR(kind, _INT), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(_context: Any, kind: Any, _address: Any, _value: Any) -> Any:
    """Writes 16 lanes as elements of a kind, rounded to nearest even."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        value = builder.fptrunc(values[2], BF16X16) if is_bfloat16(kind) else values[2]
        write(builder, value, values[1], 2)
        return context.get_dummy_value()

    return _NONE(kind, _INT, VECTOR), generate


@intrinsic  # type: ignore[untyped-decorator]
def rounded(_context: Any, kind: Any, _value: Any) -> Any:
    """The lanes as they would be after a store and a load."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        if not is_bfloat16(kind):
            return values[1]
        return builder.fpext(builder.fptrunc(values[1], BF16X16), F32X16)

    return VECTOR(kind, VECTOR), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_one(_context: Any, kind: Any, _address: Any) -> Any:
    """Reads one element of a kind as float32."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        if not is_bfloat16(kind):
            return read(builder, F32, values[1], 4)
        word = builder.zext(read(builder, I16, values[1], 2), I32)
        return builder.bitcast(builder.shl(word, I32(16)), F32)

    return _FLOAT(kind, _INT), generate


@intrinsic  # type: ignore[untyped-decorator]
def store_one(_context: Any, kind: Any, _address: Any, _value: Any) -> Any:
    """Writes a float32 as one element of a kind, rounded to nearest even."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        value = builder.fptrunc(values[2], BFloat()) if is_bfloat16(kind) else values[2]
        write(builder, value, values[1], 2)
        return context.get_dummy_value()

    return _NONE(kind, _INT, _FLOAT), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def stack(_context: Any, size: Any) -> Any:
    """The address of `size` bytes (a constant) that live until the function returns."""
    if not isinstance(size, types.IntegerLiteral):
        return None
    length = size.literal_value

    def generate(_context: Any, builder: Any, _signature: Any, _values: Any) -> Any:
        # numba's own helper would clear the room, byte by byte in code.
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(I8, length))
        room.align = 64
        return builder.ptrtoint(room, I64)

    return _INT(size), generate


def _fold(builder: ir.IRBuilder, x: ir.Value, join: Callable[..., ir.Value]) -> ir.Value:
    """Joins the upper half of the lanes to the lower until one is left."""
    width = LANES
    while width > 1:
        width //= 2
        upper = ir.Constant(ir.VectorType(I32, LANES), [(i + width) % LANES for i in range(LANES)])
        x = join(x, builder.shuffle_vector(x, x, upper))
    return builder.extract_element(x, I32(0))


def emit_exponential(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """exp by 2^n * exp(r), |r| <= ln 2 / 2, with a polynomial of degree 6 (Taylor)."""
    low, high = every(F32X16, -87.0), every(F32X16, 88.72)
    turns = call(
        builder,
        "llvm.roundeven.v16f32",
        F32X16,
        [builder.fmul(x, every(F32X16, 1.0 / math.log(2.0)))],
    )
    rest = fused(builder, turns, every(F32X16, -0.693359375), x)
    rest = fused(builder, turns, every(F32X16, 2.12194440e-4), rest)
    total = every(F32X16, 1.0 / 720.0)
    for factorial in (120.0, 24.0, 6.0, 2.0, 1.0, 1.0):
        total = fused(builder, total, rest, every(F32X16, 1.0 / factorial))
    # Half the exponent twice: 2^128 alone would overflow.
    power = builder.fptosi(turns, I32X16)
    first = builder.ashr(power, every(I32X16, 1))
    for part in (first, builder.sub(power, first)):
        bits = builder.shl(builder.add(part, every(I32X16, 127)), every(I32X16, 23))
        total = builder.fmul(total, builder.bitcast(bits, F32X16))
    total = builder.select(builder.fcmp_ordered(">", x, high), every(F32X16, math.inf), total)
    return builder.select(builder.fcmp_ordered("<", x, low), every(F32X16, 0.0), total)
