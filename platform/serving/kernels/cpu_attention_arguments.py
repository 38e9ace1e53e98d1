"""What the attention kernel finds at its address, and where the cache's pages are.

An address leads to int64s: counters, then the layer's arguments, in the order in which
`attention.cpu` launches it; the last of them leads to what is the same for all layers of a step.
"""

from rostra.serving.kernels.cpu_vector import Kind, compiled, read_int, read_int32, size_of

# Of a layer; the first three count work taken, tokens stored and splits attended to.
TAKEN, KEPT, ATTENDED = 0, 8, 16
Q_ROWS, Q_STRIDE, K_ROWS, K_STRIDE, V_ROWS, V_STRIDE, OUT, CACHE, WINDOW, STEP = (
    8 * i for i in range(3, 13)
)
# Of a step.
TOKENS, SLOTS, KV_HEADS, GROUP, DIM, BLOCK = (8 * i for i in range(6))
TILES, TILE_COUNT, STARTS, CONTEXTS, TABLES, TABLE_WIDTH = (8 * i for i in range(6, 12))
NUMBERS, PARTIALS, SPLITS = (8 * i for i in range(12, 15))


@compiled
def of_step(args: int, place: int) -> int:
    """One of the step's own arguments."""
    value: int = read_int(read_int(args + STEP) + place)
    return value


@compiled
def page_at(args: int, kind: Kind, sequence: int, head: int, chunk: int) -> int:
    """Where the keys of a chunk are; its values are half a page further, less the keys before."""
    block_size = of_step(args, BLOCK)
    chunks, token = block_size // 16, of_step(args, DIM) * size_of(kind)
    table = of_step(args, TABLES) + sequence * of_step(args, TABLE_WIDTH) * 4
    block = read_int32(table + 4 * (chunk // chunks)) * of_step(args, KV_HEADS) + head
    place: int = read_int(args + CACHE) + (2 * block * block_size + chunk % chunks * 16) * token
    return place
