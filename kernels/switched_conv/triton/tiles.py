"""What the programs of the GPU kernels have in common: which tile is theirs, and loading patches.

Gathered patches are counted by their columns, k k c numbers. Where channels are many, a chunk of a
patch lies within one tap; where they are few (an image has three), it spans several.

Everywhere `g` is the `Geometry`, and a tile has `rows` times `columns` sums of `depth` products at
a time.
"""

import triton
import triton.language as tl


@triton.jit
def split(program, column_tiles: tl.constexpr, rows: tl.constexpr, g: tl.constexpr):
    """The block, the part of the block and the tile of columns of a program. Programs of the same
    pixels follow each other, so that what they gather is in the cache."""
    parts: tl.constexpr = (g.block + rows - 1) // rows
    number = program // column_tiles
    block = number // parts
    return block, number - block * parts, program - number * column_tiles


@triton.jit
def offsets(row, column, width: tl.constexpr, g: tl.constexpr):
    """Places in a flat matrix of so many columns."""
    if g.large:
        return row.to(tl.int64) * width + column
    else:
        return row * width + column


@triton.jit
def output_number(segment, local, g: tl.constexpr):
    """The number in the flat output of pixels of a segment; `g.outputs` outside of the images."""
    line = local // g.out_width
    column = local - line * g.out_width
    band = line // g.band_rows
    row = line - band * g.band_rows
    group = segment // g.segments_per_group
    band = band + (segment - group * g.segments_per_group) * g.bands_per_segment
    image = band // g.bands
    row = row + (band - image * g.bands) * g.band_rows
    real = (local < g.pixels) & (row < g.out_height) & (image < g.images_per_group)
    image = image + group * g.images_per_group
    return tl.where(real, (image * g.out_height + row) * g.out_width + column, g.outputs)


@triton.jit
def load_pixels(pixels, block, part, rows: tl.constexpr, g: tl.constexpr):
    """The pixels of a part of a block, as numbers within the segment and in the flat output; the
    latter is `g.outputs` where there is none."""
    lanes = part * rows + tl.arange(0, rows)
    local = tl.load(pixels + block * g.block + lanes, mask=lanes < g.block, other=g.pixels)
    return local, output_number(block // g.blocks, local, g)


@triton.jit
def patch_corners(pixel, g: tl.constexpr):
    """Where in x the patches of output pixels begin: row, column and number of the pixel."""
    line = pixel // g.out_width
    image = line // g.out_height
    row = (line - image * g.out_height) * g.stride - g.border
    column = (pixel - line * g.out_width) * g.stride - g.border
    return row, column, (image * g.height + row) * g.width + column


@triton.jit
def chunk_bounds(step, depth: tl.constexpr, g: tl.constexpr):
    """The first column of a chunk of a patch, and where its columns must end."""
    if g.narrow:
        end: tl.constexpr = g.patch
        return step * depth, end
    else:
        chunks: tl.constexpr = (g.channels + depth - 1) // depth
        tap = step // chunks
        start = tap * g.channels
        return start + (step - tap * chunks) * depth, start + g.channels


@triton.jit
def load_patches(x, corners, known, step, depth: tl.constexpr, g: tl.constexpr):
    """A chunk of the patches that begin at these corners, [rows, depth], with zeros around x."""
    row, column, number = corners
    first, end = chunk_bounds(step, depth, g)
    lanes = tl.arange(0, depth)[None, :]
    if g.narrow:
        tap = (first + lanes) // g.channels  # one for each column
    else:
        tap = first // g.channels
    channel = first - tap * g.channels + lanes
    down = tap // g.size
    right = tap - down * g.size
    row, column = row[:, None] + down, column[:, None] + right
    mask = known[:, None] & (row >= 0) & (row < g.height) & (column >= 0) & (column < g.width)
    if g.narrow or g.channels % depth != 0:
        mask = mask & (first + lanes < end)
    source = number[:, None] + (down * g.width + right)
    return tl.load(x + offsets(source, channel, g.channels, g), mask=mask, other=0.0)


@triton.jit
def load_matrix(matrix, row, column, known, width: tl.constexpr, g: tl.constexpr):
    """Numbers of the rows that are known of a flat matrix, where its columns are any."""
    mask = known[:, None] & (column < width)[None, :]
    where = offsets(row[:, None], column[None, :], width, g)
    return tl.load(matrix + where, mask=mask, other=0.0)


@triton.jit
def store_matrix(matrix, row, column, known, value, width: tl.constexpr, g: tl.constexpr):
    """Puts a tile into such rows, rounded to their type."""
    mask = known[:, None] & (column < width)[None, :]
    where = offsets(row[:, None], column[None, :], width, g)
    tl.store(matrix + where, value.to(matrix.dtype.element_ty), mask=mask)
